"""The script of the template jobs: performs the job that studio apply sent with the run."""

from studio.jobs.workspace import worker

worker.run()
