#!/bin/sh
set -eu
accelerate launch --num_processes 2 train.py "$1"
