"""What is known of customers, month by month; `data.py` writes the table."""

from datetime import timedelta
from pathlib import Path

from feast import Entity, FeatureService, FeatureView, Field, FileSource, Project, ValueType
from feast.types import Float64

TABLE = Path(__file__).resolve().parent / "data" / "customers.parquet"

project = Project(name="churn", description="Customers who may leave")
customer = Entity(name="customer", join_keys=["customer_id"], value_type=ValueType.INT64)
months = FileSource(name="customer_months", path=str(TABLE), timestamp_field="event_timestamp")
profile = FeatureView(
    name="customer_profile",
    entities=[customer],
    ttl=timedelta(0),  # never too old: what was heard last is what is known
    schema=[Field(name=name, dtype=Float64) for name in ("tenure", "balance", "purchases", "idle_days", "tickets")],
    source=months,
)
churn_v1 = FeatureService(name="churn_v1", features=[profile])
