"""A model folder's weights back in a network, so that training can go on from a model that was packed.

Packing rounds (int8: about half a percent of each weight), so what goes on is the model that was shipped, not the run
that made it; the optimiser begins anew.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from moonlet import kernels
from moonlet.model.decode import as_float
from moonlet.model.folder import ModelFolder
from moonlet.model.layout import expert_matrices, slots
from moonlet.train.network import Network


@torch.no_grad()
def restore(network: Network, folder: ModelFolder) -> None:
    """Fills every weight of `network`, whose sizes must be the folder's. Raises FolderError."""
    assert network.config == folder.config, "the network has other sizes than the folder"
    state = network.state_dict()
    filled = set[str]()
    for name, weight in _dense(folder).items():
        place = state[name]
        assert place.shape == weight.shape, (name, place.shape, weight.shape)
        place.copy_(weight)
        filled.add(name)
    config = folder.config
    for layer in range(config.dense_layers, config.layers):
        prefix = f"model.layers.{layer}.mlp.experts."
        gate_up, down = state[prefix + "gate_up"], state[prefix + "down"]
        for e, (gate, up, out) in enumerate(_experts(folder, layer)):
            gate_up[e, 0].copy_(gate)
            gate_up[e, 1].copy_(up)
            down[e].copy_(out)
        filled |= {prefix + "gate_up", prefix + "down"}
    missing = state.keys() - filled - ({"lm_head.weight"} if config.tied else set())
    assert not missing, f"not in a model folder: {sorted(missing)}"


def _dense(folder: ModelFolder) -> dict[str, Tensor]:
    """Weights of dense.safetensors under their public names; a tied head is the embedding, which is stored better."""
    arrays, found = folder.dense(), dict[str, Tensor]()
    key_rows = dict[str, list[Tensor]]()
    for slot in slots(folder.config):
        if slot.name == "head" and folder.config.tied:
            continue
        array = np.ascontiguousarray(arrays[slot.name])
        if slot.kind in ("table", "f32"):
            found[slot.source] = torch.from_numpy(as_float(array).reshape(slot.shape).copy())
        elif slot.kind == "packed":
            found[slot.source] = _unpacked(array, folder.formats.dense, *slot.shape)
        else:
            heads = [_unpacked(one, folder.formats.dense, *slot.shape[1:]) for one in array]
            if slot.kind == "keys":  # stored transposed
                key_rows[slot.source] = [head.T for head in heads]
            else:  # a head's rows of kv_b are its keys, then its values; keys come first in the file
                pairs = zip(key_rows.pop(slot.source), heads, strict=True)
                found[slot.source] = torch.cat([part for pair in pairs for part in pair])
    return found


def _experts(folder: ModelFolder, layer: int) -> list[list[Tensor]]:
    """Gate, up and down of each expert of a sparse layer."""
    path, offset, experts, row_bytes = folder.experts_file(layer)
    rows = np.fromfile(path, np.uint8, offset=offset).reshape(experts, row_bytes)
    found = []
    for row in rows:
        matrices, at = [], 0
        for shape in expert_matrices(folder.config).values():
            size = kernels.packed_bytes(folder.formats.experts, *shape)
            matrices.append(_unpacked(row[at : at + size], folder.formats.experts, *shape))
            at += size
        found.append(matrices)
    return found


def _unpacked(packed: np.ndarray, format: kernels.Format, rows: int, cols: int) -> Tensor:
    return torch.from_numpy(kernels.unpack(np.ascontiguousarray(packed), format, rows, cols))
