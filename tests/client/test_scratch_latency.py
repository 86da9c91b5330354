import time, statistics, cProfile, pstats
from django.db import connection
from tests.client.orders import registry
from django_durable.client import Client
from django_durable.store import queries
def test_x(db):
    client = Client(registry)
    client.start_orchestration("x1", "orders.checkout", 7)
    def med(f):
        t=[]
        for i in range(500):
            a=time.perf_counter(); f(); t.append(time.perf_counter()-a)
        return statistics.median(t)*1000
    def raw():
        with connection.cursor() as c:
            c.execute("SELECT i.id, i.instance_id, i.orchestration, i.version, i.runtime_status, i.execution_number, e.output, e.failure, i.custom_status, i.custom_status_version, i.revision, i.blocked_reason, i.created_at, i.started_at, i.updated_at, i.completed_at FROM django_durable_instance i JOIN django_durable_execution e ON e.instance_id = i.id AND e.number = i.execution_number WHERE i.instance_id = %s", ["x1"])
            return c.fetchone()
    print("\nstatus", med(lambda: client.get_status("x1")), "record", med(lambda: queries.status_of("x1", using="default")), "raw", med(raw), "info", med(lambda: client.get_instance_info("x1")))
    print("raise", med(lambda: client.raise_event("x1","go")), "enqueue", med(lambda: client.enqueue_event("x1", "q")))
    i=[0]
    def start():
        i[0]+=1; client.start_orchestration(f"y{i[0]}", "orders.checkout", 7)
    print("start", med(start))
