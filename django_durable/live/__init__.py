"""Instances watched while they change: what the websocket and the event stream are made of.

Theory of operation.

* A `Listener` is one open connection of one user. It has a `Subscription` to each instance that it watches.
* A `Tail` reads the database for all subscriptions of this process: by one query however many there are, only while
  there are any, when a hint says that something happened, and now and then without one.
* A subscription keeps what its listener has not been told: the latest status and the latest KV entries, which replace
  those before them, and a bounded number of events and of items of streams, of which nothing is lost: what does not fit
  is read later. A slow listener therefore costs nothing and gets the latest state.
* Rights are asked of the project's rules when a subscription begins, and again now and then, with the user read anew.
"""

from __future__ import annotations

from .listener import Listener as Listener
from .messages import Message as Message, Problem as Problem, Signal as Signal
from .positions import (
    Position as Position,
    place_from_text as place_from_text,
    position_from_text as position_from_text,
    streams_from_value as streams_from_value,
)
from .subscriptions import Wish as Wish
from .viewers import SessionViewer as SessionViewer, Viewer as Viewer
