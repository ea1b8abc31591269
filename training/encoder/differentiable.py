"""A finished generator as a torch network again: an error in its pixels then tells how to move a latent."""

from __future__ import annotations

import onnx
import torch
from onnx import numpy_helper

from generator.artifact import Artifact
from training.networks import Generation, Generator

PREFIX = "generator."  # of the weights in a graph that `python -m export` wrote


class UnknownGraph(ValueError):
    """A graph that is not of the network that this project trains."""


def network_of(artifact: Artifact) -> Generation:
    """The network in an artifact's generator.onnx, frozen; batch norm is folded into its layers by then.

    Raises UnknownGraph.
    """
    graph = onnx.load(artifact.onnx_file).graph
    weights = {
        tensor.name.removeprefix(PREFIX): torch.from_numpy(numpy_helper.to_array(tensor).copy())
        for tensor in graph.initializer
        if tensor.name.startswith(PREFIX)
    }
    try:
        width = weights["last.weight"].shape[0]
        has_tanh = any(node.op_type == "Tanh" for node in graph.node)
        network = Generator(artifact.spec, width, "none", "tanh" if has_tanh else "sigmoid")
        network.load_state_dict(weights)
    except (KeyError, RuntimeError) as error:
        raise UnknownGraph(
            f"{artifact.onnx_file} is not of a network that this version trains: {error}; "
            "export the generator again"
        ) from error
    return Generation(network.eval().requires_grad_(False), artifact.spec)
