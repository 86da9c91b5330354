import pytest, uuid
from django_durable.registry import Registry
from django_durable.worker.worker import Worker
from django_durable.store import starts, connections
from django_durable.store.transactions import write_transaction
from django_durable.models import Instance, Execution
from django.utils import timezone

registry = Registry()

@registry.activity("double")
def double(x: int) -> int:
    return 2*x

@registry.activity("adouble")
async def adouble(x: int) -> int:
    return 2*x

@registry.orchestration("chain")
def chain(ctx, n: int):
    x = 1
    for _ in range(n):
        x = yield ctx.schedule_activity("double", x)
    return x

@registry.orchestration("fan")
async def fan(ctx, n: int):
    import asyncio
    return sum(await asyncio.gather(*[ctx.schedule_activity("adouble", i) for i in range(n)]))

def start(name, input, iid=None):
    iid = iid or uuid.uuid4().hex
    with write_transaction("default") as c:
        d = registry.get_orchestration(name)
        starts.insert_instances(c, [starts.NewInstance(instance_id=iid, orchestration=d.name, version=d.version, input=str(input), seed=iid)], timezone.now())
    return iid

@pytest.mark.django_db
def test_drain():
    a = start("chain", 5); b = start("fan", 10)
    w = Worker(registry)
    print(w.drain())
    print(w.metrics_snapshot())
    for i in Instance.objects.all():
        print(i.runtime_status, i.executions.get().output, i.executions.get().failure, i.blocked_reason)

def test_threads(durable_db):
    import time
    w = Worker(registry)
    ids = [start("chain", 5) for _ in range(20)] + [start("fan", 20)]
    t=time.time()
    w.start()
    try:
        while Instance.objects.exclude(runtime_status="Completed").exists() and time.time()-t<20: time.sleep(0.02)
        print("took", time.time()-t)
    finally:
        t=time.time(); w.stop(); print("stopped", time.time()-t)
    print(w.metrics_snapshot())
    for i in Instance.objects.all()[:3]:
        print(i.runtime_status, i.executions.get().output, i.executions.get().failure, i.blocked_reason, i.lease_owner)

@pytest.mark.parametrize("size", [(100, 5), (1, 100), (300, 20)])
def test_bench(durable_db, size):
    import time
    many, steps = size
    ids = [start("chain", steps) for _ in range(many)]
    w = Worker(registry)
    t=time.time()
    w.start()
    try:
        while Instance.objects.exclude(runtime_status="Completed").exists() and time.time()-t<60: time.sleep(0.01)
        took = time.time()-t
    finally:
        w.stop()
    print(f"\n{many} x {steps}: {took:.2f}s, {many*steps/took:.0f} steps/s", {k:v for k,v in w.metrics_snapshot().items() if v})
