"""The script of the application: follows the branch, and shows where the project stands."""

from studio.page import app

app.run()
