"""Loads the day's orders and adds them up."""

from datetime import datetime, timedelta

try:
    from airflow.sdk import dag, task
except ImportError:  # Airflow 2
    from airflow.decorators import dag, task

from shop.orders import orders_of, totals


@dag(
    schedule="@daily",
    start_date=datetime(2026, 1, 1),
    catchup=False,
    default_args={"owner": "sales", "retries": 2, "retry_delay": timedelta(minutes=2)},
    tags=["hello", "sales"],
)
def orders():
    @task
    def load(ds: str | None = None) -> list[dict]:
        return orders_of(ds or "2026-01-01")

    @task
    def add_up(loaded: list[dict]) -> list[list]:
        return [list(row) for row in totals(loaded)]

    add_up(load())


orders()
