"""How much memory does a loss take, forward and backward, dense and tiled?

    python benchmarks/memory.py                         # three faces at 4,096 and 16,384 rows
    python benchmarks/memory.py --rows 65536 --engines tiled

Each figure is a process of its own: the growth of its peak resident set over a warm-up on a tiny problem, so inputs and
gradients are in it and the library is not. Rows are the rows of the score matrix; the width is 128.
"""

import argparse
import json
import resource
import subprocess
import sys
import time

FACES = ("InfoNCE", "SymmetricInfoNCE", "NTXent")


def measure(face: str, engine: str, rows: int, width: int) -> dict[str, float]:
    """Run one case in this process."""
    import torch  # noqa: PLC0415 - the parent process needs none of it

    import info_nce  # noqa: PLC0415 - as above

    def step(rows: int) -> None:
        each = rows // 2 if face == "NTXent" else rows
        query, key = (torch.randn(each, width, requires_grad=True) for _ in range(2))
        loss = getattr(info_nce, face)(engine=getattr(info_nce.engines, engine)())
        loss(query, key).backward()

    step(64)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    step(rows)
    seconds = time.perf_counter() - start
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    return {"mebibytes": grown / 1024, "seconds": seconds}


def main() -> None:
    """Print one line per case."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[4096, 16384])
    parser.add_argument("--faces", nargs="+", default=FACES)
    parser.add_argument("--engines", nargs="+", default=["dense", "tiled"])
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        face, engine, rows = args.one
        print(json.dumps(measure(face, engine, int(rows), args.width)))
        return
    print(f"{'face':20}{'rows':>8}  " + "".join(f"{engine:>22}" for engine in args.engines))
    for face in args.faces:
        for rows in args.rows:
            cells = []
            for engine in args.engines:
                case = [face, engine.capitalize(), str(rows)]
                command = [sys.executable, __file__, "--width", str(args.width), "--one", *case]
                found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)  # noqa: S603
                cells.append(f"{found['mebibytes']:10.0f} MiB {found['seconds']:5.2f} s")
            print(f"{face:20}{rows:>8}  " + "".join(f"{cell:>22}" for cell in cells))


if __name__ == "__main__":
    main()
