"""Says hello, and which DAG files it was deployed with."""

from datetime import datetime
from pathlib import Path

try:
    from airflow.sdk import dag, task
except ImportError:  # Airflow 2
    from airflow.decorators import dag, task

GREETING = "Hello from Slipway!"


@dag(schedule=None, start_date=datetime(2026, 1, 1), catchup=False, tags=["hello"])
def hello_slipway():
    @task
    def greet() -> str:
        # The real path names the DAG bundle version that is mounted.
        return f"{GREETING} I live in {Path(__file__).resolve().parent}."

    @task
    def shout(text: str) -> None:
        print(text.upper())

    shout(greet())


hello_slipway()
