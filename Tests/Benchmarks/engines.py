"""The engines of the bench: for a job at a precision on some threads, something that measures it once when asked."""
import json
import os
import pathlib
import subprocess
import sys
import time
import typing

HERE = pathlib.Path(__file__).resolve().parent
SHORT, LONG = 30, 110  # frames of generation
LINES, AT_A_TIME = 32, 16  # of batched generation
RECORDING = 30  # seconds of the recording that is encoded
TRAINING = {"train": [], "train-k4": ["--multiplier", 4], "train-head": ["--tune", "head", "--cached"],
            "train-head-k4": ["--tune", "head", "--cached", "--multiplier", 4]}


class Enhancing(typing.NamedTuple):
    """Sound that is enhanced with each of some numbers of evaluations, 0 to denoise it, and what is kept, by measure."""
    evaluations: list[int]
    measures: dict[str, str]
    duration: float = 2.0
    rounds: int = 1  # a peer takes long

    def options(self) -> list[str]:
        return ["--duration", str(self.duration)] + [word for n in self.evaluations for word in ("--nfe", str(n))]

    def figures(self, found: dict[str, float]) -> dict[str, float]:
        return {measure: found[name] for measure, name in self.measures.items()}


ENHANCING = {
    "denoise": Enhancing([0], {"denoise": "denoise_s", "denoise-memory": "memory_mb"}, rounds=3),
    "enhance": Enhancing([8, 32, 64], {"enhance-8": "enhance_8_s", "enhance-32": "enhance_32_s", "enhance-64": "enhance_64_s",
                                       "enhance-memory": "memory_mb", "enhance-load": "load_s"}),
    # Memory does not depend on evaluations.
    "enhance-long": Enhancing([1], {"enhance-long-memory": "memory_mb"}, duration=10.0),
}
JOBS = ["lm", "prefix", "mimi", "encode", "pipe", "whole", "batch", "first", *TRAINING, *ENHANCING]


def fewest_threads(job: str) -> int:
    """What takes long, or is much the same on one, is measured on more than one thread only."""
    return 2 if job in TRAINING or job in ("pipe", "first", "batch") or job in ENHANCING and job != "denoise" else 1


class Failed(Exception):
    """A part of an engine did not run."""


class Inputs:
    """What all engines work on."""

    def __init__(self, cache: pathlib.Path, model: pathlib.Path, frames: int):
        self.model, self.frames = model, frames
        self.graphs, self.voice, self.recording, self.lines = (
            cache / name for name in ("graphs", "voice.wav", f"recording-{RECORDING}.wav", "lines.txt"))
        # The same weights: a model of ours, and a run directory of the package.
        self.enhancer, self.enhancer_run = cache / "enhancer", cache / "enhancer-run"
        self.text = "The old man waited by the window."

    def has_enhancer(self) -> bool:
        return (self.enhancer / "model.safetensors").is_file()  # what is written last


def check(command: list, process: subprocess.Popen, errors: str) -> None:
    if process.returncode != 0:
        shown = " ".join(map(str, command))
        raise Failed(f"{shown}: exit status {process.returncode}\n{errors.strip()[-2000:]}")


def run(command: list, discard: bool = False) -> tuple[str, float, float]:
    """The output of a command, its seconds, and its largest resident size in MB."""
    start = time.perf_counter()
    process = subprocess.Popen(command, text=True, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE,
                               stdout=subprocess.DEVNULL if discard else subprocess.PIPE)
    output = "" if discard else process.stdout.read()
    errors = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    taken = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    check(command, process, errors)
    return output, taken, usage.ru_maxrss / (1024 if sys.platform == "linux" else 1024**2)


def streamed(command: list) -> tuple[float, float, float]:
    """Seconds from the start of a command to the first byte that it writes, from there to the end of what it writes,
    and its largest resident size in MB."""
    start = time.perf_counter()
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    byte = process.stdout.read(1)
    first = time.perf_counter()
    while process.stdout.read(1 << 16): pass
    end = time.perf_counter()
    errors = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    check(command, process, errors.decode(errors="replace"))
    if not byte:
        raise Failed(f"{command[0]} wrote no audio")
    return first - start, end - first, usage.ru_maxrss / (1024 if sys.platform == "linux" else 1024**2)


class Ours:
    """The tools, and tts-bench for parts of them: a process for every measurement."""

    name, title = "ttstools", "ttstools"
    precise = ["lm", "prefix", "mimi", "whole", "batch", "train", "train-k4", "train-head", "enhance"]  # the jobs that a precision changes

    def __init__(self, bin: pathlib.Path, inputs: Inputs):
        self.bin, self.inputs = bin, inputs
        self.precisions = ["f32"]
        if "--precision" in run([bin / "tts-synth", "--help"])[0]:
            self.precisions += ["bf16", "int8"]

    def bench(self, *arguments) -> dict[str, float]:
        return json.loads(run([self.bin / "tts-bench", *map(str, arguments)])[0])

    def machine(self, threads: int, runs: int) -> dict[str, float]:
        return self.bench("machine", "--threads", threads, "--runs", runs)

    def open(self, job: str, precision: str, threads: int):
        if precision not in self.precisions or (precision != "f32" and job not in self.precise):
            return None
        if precision == "int8" and (job in TRAINING or job in ENHANCING):
            return None
        return OurSession(self, job, threads, [] if precision == "f32" else ["--precision", precision])


class OurSession:
    PARTS = {"lm": {"lm": "lm_ms_per_frame"}, "prefix": {"prefix": "prefix_100_ms"}, "encode": {"encode": "encode_x_realtime"},
             "mimi": {"mimi": "mimi_stream_ms_per_frame", "decode": "mimi_offline_decode_x"}}

    def __init__(self, ours: Ours, job: str, threads: int, precision: list[str]):
        self.ours, self.inputs, self.job, self.threads, self.precision = ours, ours.inputs, job, threads, precision

    def measure(self) -> dict[str, float]:
        if self.job in self.PARTS:
            figures = self.ours.bench("speed", "--model", self.inputs.model, "--threads", self.threads, "--part", self.job,
                                      "--runs", 3, "--frames", self.inputs.frames, *self.precision)
            return {name: figures[theirs] for name, theirs in self.PARTS[self.job].items()}
        if self.job in TRAINING:
            figures = self.ours.bench("train", "--model", self.inputs.model, "--threads", self.threads, "--runs", 1, *self.precision,
                                      *TRAINING[self.job])
            return {self.job: figures["step_s"], self.job + "-memory": figures["rss_mb"]}
        if self.job in ENHANCING:
            what = ENHANCING[self.job]
            return what.figures(self.ours.bench("enhance", "--model", self.inputs.enhancer, "--threads", self.threads, "--runs", 1,
                                                *what.options(), *self.precision))
        return {"whole": self.whole, "batch": self.batch, "first": self.first, "pipe": self.pipe}[self.job]()

    def synth(self, frames: int, *what) -> list:
        return [self.ours.bin / "tts-synth", "--model", self.inputs.model, "--voice", self.inputs.voice, *what,
                "--temperature", "0", "--eos-threshold", "1e9", "--max-frames", str(frames),
                "--format", "s16le", "--threads", str(self.threads), "--quiet", *self.precision]

    def speak(self, frames: int) -> list:
        return self.synth(frames, "--text", self.inputs.text)

    def whole(self) -> dict[str, float]:
        _, taken, memory = streamed(self.speak(LONG))
        return {"whole": 1000 * taken / (LONG - 1), "whole-memory": memory}

    def batch(self) -> dict[str, float]:
        # All of it: start, prefixes, and lines that end while others go on.
        _, taken, memory = run(self.synth(SHORT, "--batch", str(AT_A_TIME), self.inputs.lines), discard=True)
        return {"batch": 1000 * taken / (SHORT * LINES), "batch-memory": memory}

    def first(self) -> dict[str, float]:
        return {"first": streamed(self.speak(5))[0]}

    def pipe(self) -> dict[str, float]:
        importing = [self.ours.bin / "tts-import", "--format", "files", "-u", "--quiet", self.inputs.recording]
        encoding = [self.ours.bin / "tts-mimi-encode", "--model", self.inputs.model, "-u", "--quiet", "--threads", str(self.threads)]
        start = time.perf_counter()
        with subprocess.Popen(importing, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as source:
            with subprocess.Popen(encoding, stdin=source.stdout, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as sink:
                source.stdout.close()
                _, errors = sink.communicate()
                taken = time.perf_counter() - start
            check(encoding, sink, errors)
            errors = source.stderr.read()
        check(importing, source, errors)
        return {"pipe": RECORDING / taken}

    def close(self) -> None:
        pass


class Peer:
    """A peer in its own process, which stays for all the rounds of a job and waits between them."""

    def __init__(self, name: str, title: str, script: str, python: str, inputs: Inputs, jobs: dict[str, list[str]]):
        self.name, self.title, self.script = name, title, HERE / script
        self.python, self.inputs, self.jobs = python, inputs, jobs
        self.precisions = sorted({p for of_job in jobs.values() for p in of_job})
        enhances = "denoise" in jobs
        self.how = "see Tests/Parity/requirements_resemble.txt" if enhances else f"{python} -m pip install -r Tests/Benchmarks/requirements.txt"

    def versions(self) -> dict[str, str] | None:
        """The versions of its packages, or nothing when they are not installed."""
        try:
            return json.loads(run([self.python, self.script, "versions"])[0])
        except (Failed, OSError):
            return None

    def open(self, job: str, precision: str, threads: int):
        if precision not in self.jobs.get(job, []):
            return None
        i, command = self.inputs, [self.python, self.script, "--threads", str(threads)]
        if job in ENHANCING:
            what = ENHANCING[job]
            return PeerSession([*command, "--model", i.enhancer_run, *what.options()], what.figures)
        command += [job, "--precision", precision, "--frames", str(i.frames)]
        if self.name == "onnx":
            command += ["--graphs", i.graphs]
        else:
            command += ["--model", i.model, "--voice", i.voice, "--text", i.text]
        return FreshSession(command) if job == "first" else PeerSession(command)


class FreshSession:
    def __init__(self, command: list):
        self.command = command

    def measure(self) -> dict[str, float]:
        return {"first": streamed(self.command)[0]}

    def close(self) -> None:
        pass


class PeerSession:
    def __init__(self, command: list, figures=lambda found: found):
        self.command, self.figures = command, figures
        self.process = subprocess.Popen(command, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.answer()  # it is ready

    def answer(self) -> dict[str, float]:
        line = self.process.stdout.readline()
        if not line.startswith("{"):
            self.close()
            raise Failed(" ".join(map(str, self.command)) + f": ended with exit status {self.process.returncode}")
        return json.loads(line)

    def measure(self) -> dict[str, float]:
        try:
            self.process.stdin.write("once\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # the answer tells
        return self.figures(self.answer())

    def close(self) -> None:
        try:
            self.process.stdin.close()
        except BrokenPipeError:
            pass
        self.process.wait()


def peers(python: str, inputs: Inputs) -> list[Peer]:
    both = ["f32", "int8"]
    return [
        Peer("pytorch", "PyTorch", "pytorch.py", python, inputs,
             {"lm": both, "prefix": both, "whole": both, "mimi": ["f32"], "encode": ["f32"], "pipe": ["f32"], "first": ["f32"],
              **{job: ["f32"] for job in TRAINING}}),
        Peer("pytorch", "PyTorch (Resemble-Enhance)", "pytorch_enhance.py", python, inputs, {job: ["f32"] for job in ENHANCING}),
        Peer("onnx", "ONNX Runtime", "onnx_runtime.py", python, inputs, {"lm": both, "mimi": both, "whole": both}),
    ]
