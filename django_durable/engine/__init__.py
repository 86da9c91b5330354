"""The sans-IO core: standard library only, no Django, no clock, no randomness, no threads, no logging.

Events are facts, commands are requests, and a turn is a pure function from the first to the second.

The core owns: what a history means, what orchestration code may ask for, the order in which code sees events, the
comparison of a replay with its record. Its host (the worker) owns: time, storage, leases, running activities.
"""
