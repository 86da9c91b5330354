"""The systems that are compared, each through its own documented API; none of these modules needs another's library.

A module has `DATABASES`, the databases it runs on; `CONCURRENCIES`, the settings of which the best one counts; `MOST`,
the largest size of a workload that it takes part in, where there is one (0: in none); `prepare(url)`, which makes the
tables; `serve(url, concurrency)`, which runs one worker until the process is ended; and `Client(url)` with
`start(id, workload, size)` and `wait(id)`.

The workloads: `chain`, `size` no-op activities in sequence; `fan_out`, `size` of them at once.
"""
