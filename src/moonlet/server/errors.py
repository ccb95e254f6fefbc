"""What a client is told when its request is not answered: one exception, which each API puts into its own shape."""

from __future__ import annotations

from moonlet.llm import BusyError, LateError, LLMError, LoadingError, RefusedError, TooLongError

_LOADING_RETRY_S = 2.0


class ApiError(Exception):
    """A request that is not answered, or no further.

    `param` names the field at fault, `code` the fault in OpenAI's words, `retry_s` when to try again, `too_long` the
    tokens of a prompt that does not fit and of the context.
    """

    def __init__(
        self,
        message: str,
        param: str | None = None,
        code: str | None = None,
        status: int = 400,
        retry_s: float | None = None,
        too_long: tuple[int, int] | None = None,
    ) -> None:
        super().__init__(message)
        self.param = param
        self.code = code
        self.status = status
        self.retry_s = retry_s
        self.too_long = too_long


def api_error(error: Exception) -> ApiError:
    """Any failure as what the client is told of it. What is our own fault stays in the log."""
    match error:
        case ApiError():
            return error
        case TooLongError():
            return ApiError(
                str(error), "messages", code="context_length_exceeded", too_long=(error.prompt, error.context)
            )
        case BusyError():
            return ApiError(str(error), code="rate_limit_exceeded", status=429, retry_s=error.retry_s)
        case LoadingError():
            return ApiError(str(error), code="model_loading", status=503, retry_s=_LOADING_RETRY_S)
        case RefusedError():
            return ApiError(str(error))
        case LateError():
            return ApiError(str(error), code="deadline_exceeded", status=504)
        case LLMError():
            return ApiError(str(error), status=500)
        case _:
            return ApiError("the server failed on this request; its log says why", status=500)
