"""Compares the orders of the last seven days."""

from datetime import date, datetime, timedelta

try:
    from airflow.sdk import dag, task
except ImportError:  # Airflow 2
    from airflow.decorators import dag, task

from shop.orders import orders_of


@dag(schedule="@weekly", start_date=datetime(2026, 1, 1), catchup=False, tags=["hello", "sales"])
def orders_report():
    @task
    def last_days(count: int = 7) -> list[str]:
        return [str(date.today() - timedelta(days=n)) for n in range(1, count + 1)]

    @task
    def turnover(day: str) -> dict:
        return {"day": day, "total": sum(order["cents"] for order in orders_of(day)) / 100}

    @task
    def report(days: list[dict]) -> None:
        for day in sorted(days, key=lambda d: d["total"], reverse=True):
            print(f"{day['day']}  {day['total']:10.2f}")

    report(turnover.expand(day=last_days()))


orders_report()
