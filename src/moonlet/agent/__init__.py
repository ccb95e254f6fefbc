"""An agent: a model, tools and a history that only grows. Reply, execute, append, until an end or a limit."""

from moonlet.agent.events import CallResult, CallStarted, Ended, Event, Notice, Progress, Reason, Ruling
from moonlet.agent.limits import Limits, Price, Spent
from moonlet.agent.loop import Agent, Toolbox

__all__ = [
    "Agent",
    "CallResult",
    "CallStarted",
    "Ended",
    "Event",
    "Limits",
    "Notice",
    "Price",
    "Progress",
    "Reason",
    "Ruling",
    "Spent",
    "Toolbox",
]
