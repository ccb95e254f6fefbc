from typing import Any

import numpy as np
from numpy.typing import NDArray

PAGE: int
PARTS: tuple[str, ...]
TIERS: tuple[str, ...]

class FileError(OSError): ...

class ExpertStore:
    def __init__(self, budget: int = -1) -> None: ...
    def add_layer(self, paths: list[str], offset: int, experts: int, row_bytes: int) -> None: ...
    def open(self, heat: NDArray[np.float32] | None = None, tokens: float = 0.0) -> None: ...
    def set_budget(self, budget: int) -> None: ...
    def adopt_budget(self) -> None: ...
    def counters(self) -> dict[str, int]: ...
    def heat(self) -> tuple[NDArray[np.float32], float]: ...
    def tiers(self) -> NDArray[np.uint8]: ...
    def disturb(self, errors: int = 0, ends: int = 0, delay_us: int = 0) -> None: ...
    @property
    def streamed(self) -> bool: ...
    @property
    def slots(self) -> int: ...
    @property
    def used_bytes(self) -> int: ...

class Shape:
    def __init__(self) -> None: ...
    V: int
    D: int
    layers: int
    H: int
    q_rank: int
    L: int
    N: int
    R: int
    value: int
    dense_width: int
    dense_layers: int
    E: int
    K: int
    shared_width: int
    F: int
    router: int
    groups: int
    groups_kept: int
    normalise: bool
    routed_scale: float
    eps: float
    score_scale: float
    rotation_scale: float
    inverse_frequencies: list[float]

class Model:
    def copy_pages(self, pages: NDArray[np.int32], bytes: NDArray[np.uint8], into: bool) -> None: ...
    def step(
        self,
        ids: NDArray[np.int32],
        positions: NDArray[np.int32],
        sequences: NDArray[np.int32],
        pages: NDArray[np.int32],
        want: NDArray[np.int32],
        logits: NDArray[np.float32],
        chosen: NDArray[np.int32] | None = None,
        failed: NDArray[np.uint8] | None = None,
        weights: NDArray[np.float32] | None = None,
        tiers: NDArray[np.uint8] | None = None,
        ns: NDArray[np.int64] | None = None,
    ) -> str: ...
    @property
    def threads(self) -> int: ...
    @property
    def page_bytes(self) -> int: ...
    @property
    def cache_bytes(self) -> int: ...
    @property
    def workspace_bytes(self) -> int: ...

def load(
    shape: Shape,
    arrays: dict[str, NDArray[Any]],
    dense: str,
    experts: str,
    store: ExpertStore,
    tokens: int,
    rows: int,
    pages: int,
    threads: int,
    exact: bool,
    expanded: bool,
    cache: str,
    isa: str,
) -> Model: ...
def buffer_bytes(
    shape: Shape,
    tokens: int,
    pages: int,
    exact: bool,
    expanded: bool = False,
    cache: str = "bf16",
    threads: int = 1,
) -> tuple[int, int]: ...
def map_file(path: str) -> NDArray[np.uint8]: ...
def isa() -> str: ...
def isas() -> list[str]: ...
def cores() -> int: ...
def packed_bytes(format: str, rows: int, cols: int) -> int: ...
def pack(weight: NDArray[Any], format: str) -> NDArray[np.uint8]: ...
def pack_codes(codes: NDArray[np.int8], scales: NDArray[np.uint16], format: str) -> NDArray[np.uint8]: ...
def unpack(packed: NDArray[np.uint8], format: str, rows: int, cols: int) -> NDArray[np.float32]: ...
def quantise(x: NDArray[np.float32], isa: str = "") -> tuple[NDArray[np.int8], NDArray[np.float32]]: ...
def matmul(
    packed: NDArray[np.uint8],
    format: str,
    rows: int,
    cols: int,
    x: NDArray[np.float32],
    exact: bool,
    isa: str = "",
) -> NDArray[np.float32]: ...
def swiglu(
    gate: NDArray[np.uint8],
    up: NDArray[np.uint8],
    format: str,
    rows: int,
    cols: int,
    x: NDArray[np.float32],
    exact: bool,
    isa: str = "",
) -> NDArray[np.float32]: ...
def rmsnorm(x: NDArray[np.float32], w: NDArray[np.float32], eps: float, isa: str = "") -> NDArray[np.float32]: ...
def route(
    logits: NDArray[np.float32],
    bias: NDArray[np.float32],
    softmax: bool,
    K: int,
    groups: int,
    groups_kept: int,
    normalise: bool,
    scale: float,
    isa: str = "",
) -> tuple[NDArray[np.int32], NDArray[np.float32]]: ...
def attend(
    q: NDArray[np.float32], rows: NDArray[np.float32], L: int, scale: float, cache: str, isa: str = ""
) -> NDArray[np.float32]: ...
def attend_texts(
    q: NDArray[np.uint16],
    kv: NDArray[np.uint16],
    rope: NDArray[np.uint16],
    cosine: NDArray[np.float32],
    sine: NDArray[np.float32],
    scale: float,
    texts: list[list[tuple[int, int, int]]],
    out: NDArray[np.uint16],
    lse: NDArray[np.float32],
    highest: NDArray[np.float32],
    threads: int,
    isa: str = "",
) -> None: ...
def attend_texts_back(
    q: NDArray[np.uint16],
    kv: NDArray[np.uint16],
    rope: NDArray[np.uint16],
    cosine: NDArray[np.float32],
    sine: NDArray[np.float32],
    scale: float,
    texts: list[list[tuple[int, int, int]]],
    out: NDArray[np.uint16],
    lse: NDArray[np.float32],
    grad: NDArray[np.uint16],
    dq: NDArray[np.uint16],
    dkv: NDArray[np.uint16],
    drope: NDArray[np.uint16],
    threads: int,
    isa: str = "",
) -> None: ...
