"""The results file of the bench, and its table."""
import json
import os
import pathlib
import platform
import re
import resource
import statistics
import time

import work

# what is measured: its row in the table, unit, whether more is better
MEASURES = {
    "lm": ("Language model, a frame", "ms", False),
    "mimi": ("Mimi decoder, frame by frame", "ms", False),
    "whole": ("Generation, a frame", "ms", False),
    "whole-memory": ("Generation, peak memory", "MB", False),
    "batch": ("Generation, 16 lines at a time, a frame", "ms", False),
    "batch-memory": ("Generation, 16 lines at a time, peak memory", "MB", False),
    "first": ("First audio of a new process", "s", False),
    "prefix": ("Prefix of 100 positions", "ms", False),
    "decode": ("Mimi decoder, all at once", "× real time", True),
    "encode": ("Mimi encoder, 10 s", "× real time", True),
    "pipe": ("Encoding a file of 30 s", "× real time", True),
    "train": ("Training step, batch of 8", "s", False),
    "train-memory": ("Training step, peak memory", "MB", False),
    "train-k4": ("Training step, four noises a frame", "s", False),
    "train-k4-memory": ("Training step, four noises a frame, peak memory", "MB", False),
    "train-head": ("Training step of the flow head", "s", False),
    "train-head-memory": ("Training step of the flow head, peak memory", "MB", False),
    "train-head-k4": ("Training step of the flow head, four noises", "s", False),
    "train-head-k4-memory": ("Training step of the flow head, four noises, peak memory", "MB", False),
    "denoise": ("Denoising, a second of audio", "s", False),
    "denoise-memory": ("Denoising 2 s, peak memory", "MB", False),
    "enhance-8": ("Enhancing with 8 evaluations, a second of audio", "s", False),
    "enhance-32": ("Enhancing with 32 evaluations, a second of audio", "s", False),
    "enhance-64": ("Enhancing with 64 evaluations, a second of audio", "s", False),
    "enhance-memory": ("Enhancing 2 s, peak memory", "MB", False),
    "enhance-long-memory": ("Enhancing 10 s, peak memory", "MB", False),
    "enhance-load": ("Loading the enhancer, and the first 0.1 s", "s", False),
}
PRECISIONS = ["f32", "bf16", "int8"]


def machine_facts() -> dict[str, str | int]:
    cpu = platform.processor() or platform.machine()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if pathlib.Path("/proc/cpuinfo").is_file():
        names = re.findall(r"^model name\s*: (.*)$", pathlib.Path("/proc/cpuinfo").read_text(), re.M)
        cpu = names[0] if names else cpu
    return {"cpu": cpu, "cores": os.cpu_count() or 1, "memory_gb": round(memory / 1e9), "system": f"{platform.system()} {platform.release()}"}


def cpu_slug(cpu: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", re.sub(r"\((R|TM)\)|CPU|Processor|@.*", " ", cpu, flags=re.I).lower()).strip("-") or "cpu"


class Clock:
    """Tells how much of the machine others used meanwhile, for then the figures are theirs too."""

    def __init__(self):
        self.start, self.busy, self.own = time.monotonic(), self.busy_seconds(), self.own_seconds()

    @staticmethod
    def busy_seconds() -> float | None:
        if not pathlib.Path("/proc/stat").is_file():
            return None
        user, nice, system, _, _, interrupts, soft, stolen = map(int, pathlib.Path("/proc/stat").read_text().split()[1:9])
        return (user + nice + system + interrupts + soft + stolen) / os.sysconf("SC_CLK_TCK")

    @staticmethod
    def own_seconds() -> float:
        used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        return sum(u.ru_utime + u.ru_stime for u in used)

    def used_by_others(self) -> float | None:
        """The share of all cores since the beginning; own processes count once they have ended."""
        if self.busy is None:
            return None
        cores = (time.monotonic() - self.start) * (os.cpu_count() or 1)
        return round(max(0.0, self.busy_seconds() - self.busy - (self.own_seconds() - self.own)) / cores, 3)


def highest(a: dict[str, dict[str, float]], b: dict[str, dict[str, float]]) -> dict[str, dict[str, float]]:
    """The best seen of what the machine can do, by number of threads: others may have been using it at any time."""
    return {n: {k: max(a.get(n, {}).get(k, 0), b.get(n, {}).get(k, 0)) for k in a.get(n, {}) | b.get(n, {})} for n in a | b}


def merge(path: pathlib.Path, results: dict) -> dict:
    """Adds the rows of an earlier run on the same machine with the same versions, but for those measured again."""
    if path.is_file():
        old = json.loads(path.read_text())
        known = old.get("amounts", {})  # of the models that were there
        if (all(old.get(k) == results[k] for k in ("machine", "versions", "weights", "runs"))
                and all(known.get(k, n) == n for k, n in results["amounts"].items())):
            key = lambda row: (row["measure"], row["precision"], row["threads"])
            new = {key(row) for row in results["rows"]}
            results = results | {"rows": [row for row in old["rows"] if key(row) not in new] + results["rows"],
                                 "amounts": known | results["amounts"], "peaks": highest(old["peaks"], results["peaks"])}
    order = lambda row: (list(MEASURES).index(row["measure"]), PRECISIONS.index(row["precision"]), row["threads"])
    return results | {"rows": sorted(results["rows"], key=order)}


def save(path: pathlib.Path, results: dict) -> None:
    """FILE.json, a row a line, and FILE.md beside it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    head = json.dumps({k: v for k, v in results.items() if k != "rows"}, indent=1, ensure_ascii=False)
    rows = ",\n".join("  " + json.dumps(row) for row in results["rows"])
    path.write_text(head[:-2] + ',\n "rows": [\n' + rows + "\n ]\n}\n")
    path.with_suffix(".md").write_text(table(results))


def peak(results: dict, threads: int) -> dict[str, float]:
    """The best of so many threads or fewer."""
    best = {}
    for n, figures in results["peaks"].items():
        if int(n) <= threads:
            best = highest({"": best}, {"": figures})[""]
    return best


def figure(x: float | None) -> str:
    if x is None:
        return "–"
    return f"{x:.0f}" if x >= 100 else f"{x:.1f}" if x >= 10 else f"{x:.2f}"


def table(results: dict) -> str:
    titles = {"ttstools": "ttstools", "pytorch": "PyTorch", "onnx": "ONNX Runtime"}
    engines = [e for e in titles if any(e in row["values"] for row in results["rows"])]
    others = [e for e in engines if e != "ttstools"] if "ttstools" in engines else []
    header = ["", "precision", "threads", "floor", *(titles[e] for e in engines), *(f"against {titles[e]}" for e in others)]
    lines = []
    for row in results["rows"]:
        title, unit, more_is_better = MEASURES[row["measure"]]
        medians = {e: statistics.median(v) for e, v in row["values"].items()}
        floor = work.floor(row["measure"], row["precision"], row["threads"], results["amounts"], peak(results, row["threads"]))
        ratio = lambda e: (medians["ttstools"] / medians[e] if more_is_better else medians[e] / medians["ttstools"])
        lines.append([f"{title} ({unit})", row["precision"], str(row["threads"]), figure(floor),
                      *(figure(medians.get(e)) for e in engines),
                      *(f"{ratio(e):.2f} ×" if e in medians and "ttstools" in medians else "–" for e in others)])
    widths = [max(len(line[k]) for line in [header, *lines]) for k in range(len(header))]
    aligned = lambda line: "| " + " | ".join(c.ljust(w) if k < 2 else c.rjust(w) for k, (c, w) in enumerate(zip(line, widths))) + " |"
    rule = "| " + " | ".join("-" * w if k < 2 else "-" * (w - 1) + ":" for k, w in enumerate(widths)) + " |"
    m, versions = results["machine"], ", ".join(f"{k} {v}" for k, v in results["versions"].items())
    counts = [len(values) for row in results["rows"] for values in row["values"].values()]
    fewer = f", of what takes long {min(counts)} or more" if counts and min(counts) < results["runs"] else ""
    about = (f"{m['cpu']}, {m['cores']} cores, {m['memory_gb']} GB, {m['system']}; {versions}.\n"
             f"{results['weights']}; medians of {results['runs']}{fewer}, the engines in turn. One thread means one core for all of a process.\n"
             "Floor: the weights' bytes over the memory bandwidth, or the operations over the peak, both the best seen on this machine.\n"
             "The last columns: how many times faster, or smaller, ttstools is; below 1 it is slower. PyTorch's training step is not compiled; of the flow head ours reads what the backbone makes, PyTorch's computes it.\n")
    others = max((row["others"] or 0 for row in results["rows"]), default=0)
    if others > 0.05:
        about += f"The machine was not quiet: others used up to {100 * others:.0f} % of it.\n"
    return "\n".join([aligned(header), rule, *map(aligned, lines)]) + "\n\n" + about
