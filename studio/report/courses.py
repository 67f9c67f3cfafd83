"""The course of a training in a few lines of text: each curve as a sparkline, with the numbers that count."""

from __future__ import annotations

from studio.core.course import Course
from studio.report.measures import LABELS, said
from studio.report.sparkline import sparkline
from studio.traces import Told

SHOWN = ("loss", "eval_loss", "tokens_per_second", "memory_bytes", "gpu_memory_bytes")
"""Curves that are worth a line; the others are in the picture."""


def lines(told: Told) -> list[str]:
    """A line for each curve, or why there is none."""
    drawn = [_line(name, told.course) for name in SHOWN if told.course.points(name)]
    if not drawn:
        return ["", f"  course         {told.origin}"]
    first, last = told.course.steps[0], told.course.steps[-1]
    return ["", f"  course         steps {first:,} to {last:,}, from {told.origin}", *drawn]


def _line(name: str, course: Course) -> str:
    points = course.points(name)
    (_, first), (_, last) = points[0], points[-1]
    step, least = min(points, key=lambda point: point[1])
    label = LABELS[name].label
    if len(points) == 1:
        return f"    {label:20} {said(name, last)} at step {points[0][0]:,}"
    ends = f"{said(name, first)} → {said(name, last)}"
    lowest = f", lowest {said(name, least)} at step {step:,}" if "loss" in name else ""
    return f"    {label:20} {sparkline([value for _, value in points])}  {ends}{lowest}"
