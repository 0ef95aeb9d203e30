"""`risexp serve`: a network behind an address of this machine."""

from typing import TYPE_CHECKING, Annotated

import typer

from risexp.cli.options import ModelName, Threads
from risexp.cli.output import note, say

if TYPE_CHECKING:
    from risexp.app.serving.serve import Serving

Host = Annotated[
    str,
    typer.Option(
        metavar="HOST", help="Address to listen at; off loopback every request needs a token."
    ),
]
Port = Annotated[
    int | None,
    typer.Option(
        min=0,
        max=65535,
        metavar="PORT",
        help="By default 5001, or a free one if that is taken; 0 takes any free one.",
    ),
]
Names = Annotated[
    list[str] | None,
    typer.Option(
        "--allow-host",
        metavar="NAME",
        help="Another host name of this machine; may be given again.",
    ),
]


def serve(
    model: ModelName,
    host: Host = "127.0.0.1",
    port: Port = None,
    allow_host: Names = None,
    threads: Threads = 1,
) -> None:
    """Serve a network until Ctrl-C: MLflow's scoring server, in this environment.

    Off loopback a token is needed: that of RISEXP_SERVE_TOKEN, or one that is made and printed.
    """
    import torch

    from risexp.app.serving.serve import serve as serve_model

    torch.set_num_threads(threads)
    serve_model(model, host, port, tuple(allow_host or ()), _say)
    note("risexp: the server has ended")


def _say(serving: "Serving") -> None:
    for sentence in serving.model.damaged:
        note(sentence)
    bundle = serving.model.bundle
    say(f"run {bundle.run_id}, epoch {bundle.epoch} answers at {serving.address}/invocations")
    say("try it from another terminal:")
    header = f'-H "Authorization: {serving.authorization}" ' if serving.authorization else ""
    say(
        f"  curl {serving.address}/invocations -H 'Content-Type: application/json' {header}"
        f"--data @{serving.example}"
    )
    if header:
        note("every holder of the token may send requests, and requests are sent unencrypted")
    note("Ctrl-C ends it")
