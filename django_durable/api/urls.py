"""The addresses: `path("durable/", include("django_durable.api.urls"))`.

The addresses of an instance stand here twice, see `converters`: as `reverse()` makes them, and, after all of those,
with slashes of the id that were encoded only once.
"""

from __future__ import annotations

from django.urls import URLPattern, path, register_converter

from .converters import SlashedTextConverter, TextConverter
from .longpoll import status, stream_items
from .stream import changes
from .views import bulk, index, instances, operations, promises, streams, system
from .views.base import APP_NAME

register_converter(TextConverter, "durable_text")
register_converter(SlashedTextConverter, "durable_slashed_text")

app_name = APP_NAME


def _of_instance(converter: str) -> list[URLPattern]:
    """Return the addresses of one instance. Those that end in a name come first: the id may have slashes, names not."""
    base = f"instances/<{converter}:instance_id>/"
    instance = instances.InstanceView.as_view()
    if converter == "durable_slashed_text":
        # The browsable API links every beginning of an address that has a view of the framework, told by its class:
        # that of "a/queues/b/messages/" would be an instance "a/queues/b".
        del instance.cls
    return [
        path(f"{base}kv/<durable_text:key>/", instances.KeyValueView.as_view(), name="instance-kv-entry"),
        path(
            f"{base}queues/<durable_text:queue>/messages/",
            operations.MessagesView.as_view(),
            name="instance-enqueue",
        ),
        path(
            f"{base}promises/<durable_text:promise_id>/complete/",
            promises.CompletionView.as_view(),
            name="promise-complete",
        ),
        path(f"{base}promises/<durable_text:promise_id>/fail/", promises.FailureView.as_view(), name="promise-fail"),
        path(f"{base}promises/<durable_text:promise_id>/", promises.PromiseView.as_view(), name="promise-detail"),
        path(f"{base}streams/<durable_text:stream>/items/", stream_items, name="stream-items"),
        path(f"{base}streams/<durable_text:stream>/close/", streams.CloseView.as_view(), name="stream-close"),
        path(f"{base}streams/<durable_text:stream>/trim/", streams.TrimView.as_view(), name="stream-trim"),
        path(f"{base}streams/", streams.StreamsView.as_view(), name="stream-list"),
        path(f"{base}executions/<int:number>/", instances.ExecutionView.as_view(), name="instance-execution"),
        path(f"{base}status/", status, name="instance-status"),
        path(f"{base}changes/", changes, name="instance-changes"),
        path(f"{base}history/", instances.HistoryView.as_view(), name="instance-history"),
        path(f"{base}executions/", instances.ExecutionsView.as_view(), name="instance-executions"),
        path(f"{base}tree/", instances.TreeView.as_view(), name="instance-tree"),
        path(f"{base}kv/", instances.KeyValuesView.as_view(), name="instance-kv"),
        path(f"{base}events/", operations.EventsView.as_view(), name="instance-raise-event"),
        path(f"{base}cancel/", operations.CancelView.as_view(), name="instance-cancel"),
        path(f"{base}terminate/", operations.TerminateView.as_view(), name="instance-terminate"),
        path(f"{base}suspend/", operations.SuspendView.as_view(), name="instance-suspend"),
        path(f"{base}resume/", operations.ResumeView.as_view(), name="instance-resume"),
        path(f"{base}retry/", operations.RetryView.as_view(), name="instance-retry"),
        path(f"{base}fork/", operations.ForkView.as_view(), name="instance-fork"),
        path(f"{base}prune/", operations.PruneView.as_view(), name="instance-prune"),
        path(base, instance, name="instance-detail"),
    ]


urlpatterns = [
    path("", index.IndexView.as_view(), name="index"),
    path("instances/", instances.InstancesView.as_view(), name="instance-list"),
    *_of_instance("durable_text"),
    *_of_instance("durable_slashed_text"),
    path("requests/", promises.RequestsView.as_view(), name="request-list"),
    path("bulk/", bulk.BulkView.as_view(), name="bulk"),
    path("orchestrations/", system.OrchestrationsView.as_view(), name="orchestration-list"),
    path("workers/", system.WorkersView.as_view(), name="worker-list"),
    path("metrics/", system.MetricsView.as_view(), name="metrics"),
    path("metrics/prometheus/", system.PrometheusView.as_view(), name="metrics-prometheus"),
    path("health/live/", system.LiveView.as_view(), name="health-live"),
    path("health/ready/", system.ReadyView.as_view(), name="health-ready"),
]
