"""Who talks to the assistant: a user whose words are prepared, or one that a model plays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from moonlet import llm
from moonlet.chat.messages import Message
from moonlet.llm import LLM, Done
from moonlet.simulate.domains.locale import Language
from moonlet.simulate.tasks import Persona, Task

QUESTIONS: Mapping[Language, Sequence[str]] = {
    "en": ("?", "which one", "please tell me", "let me know", "please provide", "please specify"),
    "th": ("?", "ไหน", "อะไร", "เท่าไหร่", "เท่าไร", "หรือไม่", "ไหม", "เมื่อไหร่", "กรุณาระบุ", "ช่วยบอก"),
    "zh": ("?", "？", "哪", "什么", "吗", "多少", "请告诉", "请提供"),
}
MANNERS: Mapping[Persona, str] = {
    "plain": "You write as people type: short and polite.",
    "terse": "You write as few words as possible, without greetings.",
    "chatty": "You are talkative and add small things that have nothing to do with the matter.",
    "changes_mind": "You first want something slightly different and correct yourself later: the wish below counts.",
    "late": "You never give all details at once: you leave one out until the assistant asks for it.",
    "mixed": "You mix words of another language into what you write.",
}
TONGUES: Mapping[Language, str] = {"en": "English", "th": "Thai", "zh": "Chinese"}
FINISHED = "[END]"


class User(Protocol):
    """Speaks when it is its turn."""

    def next(self, messages: Sequence[Message]) -> str | None:
        """The user's next words after these messages; None when it has no more to say."""
        ...


class ScriptedUser:
    """Says the task's own words: the opening, an answer when it is asked something, the rest when it was answered."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._left = list(task.replies)
        self._begun = False

    def next(self, messages: Sequence[Message]) -> str | None:
        if not self._begun:
            self._begun = True
            return self._task.opening
        if not self._left:
            return None
        if self._left[0].asked and not asks(messages[-1].content, self._task.key.language):
            return None  # it went on without what it cannot know
        return self._left.pop(0).text


class PlayedUser:
    """A model plays the user. It is told the wish, never the solution. Raises LLMError when it is its turn."""

    def __init__(self, model: LLM, task: Task, turns: int = 8) -> None:
        self._model, self._left = model, turns
        key = task.key
        self._system = (
            f"You are a user who talks to an assistant that has tools. Write in {TONGUES[key.language]}. "
            f"{MANNERS[key.persona]}\nWhat you want, in your own words: {task.wish}\n"
            f"Ids, names, dates and numbers must be given exactly as they are here, and nothing may be made up. Write "
            f"only your next message. When you have what you want, or see that you cannot get it, write {FINISHED}."
        )

    def next(self, messages: Sequence[Message]) -> str | None:
        if self._left == 0:
            return None
        self._left -= 1
        # To the model that plays the user, the assistant is who speaks to it.
        seen = [Message("system", self._system), Message("user", "Hello, what can I do for you?")]
        for message in messages:
            if message.role == "user":
                seen.append(Message("assistant", message.content))
            elif message.role == "assistant" and message.content:
                seen.append(Message("user", message.content))
        events = self._model.reply(seen)
        try:
            done = next(event for event in events if isinstance(event, Done))
        finally:
            llm.close(events)
        text = done.message.content.strip()
        return None if not text or FINISHED in text else text


class RecordedUser:
    """Says again what a user said."""

    def __init__(self, messages: Sequence[Message]) -> None:
        self._left = [message.content for message in messages if message.role == "user"]

    def next(self, messages: Sequence[Message]) -> str | None:
        return self._left.pop(0) if self._left else None


def asks(text: str, language: Language) -> bool:
    """Whether the assistant wants to know something. Assistants answer in English too, whatever they are asked in."""
    low = text.lower()
    return any(mark in low for mark in (*QUESTIONS[language], *QUESTIONS["en"]))
