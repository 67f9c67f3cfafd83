"""GGUF beside a registered version, and every way in which a converter goes wrong."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import struct
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from studio.core.jobresult import ExportOutput
from studio.core.jobspec import JobSpec
from studio.jobs.export.converter import VARIABLE

from ..workbench import ROOT, MakeSpec, export, failure, log, messages, perform, start

CONVERTER = ROOT / "tests" / "fakes" / "llama_cpp" / "convert_hf_to_gguf.py"

pytestmark = pytest.mark.slow


def asking(make_spec: MakeSpec, kind: str = "q8_0", **changes: Any) -> JobSpec:
    return make_spec(export(None, gguf=kind, **changes))


def text(reader: Any, name: str) -> str:
    return str(bytes(reader.fields[name].parts[-1]), "utf-8")


def test_the_version_holds_a_file_with_the_merged_weights(
    make_spec: MakeSpec, router: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    import gguf
    import mlflow
    from mlflow.artifacts import download_artifacts
    from safetensors.numpy import load_file

    monkeypatch.setenv(VARIABLE, str(CONVERTER))
    monkeypatch.setenv("MY_TOKEN", "hf_secret")
    spec = make_spec(export(router, gguf="f32", model_name="-ticket router"), secrets={"hf_token": "MY_TOKEN"})
    (spec.path("models/tiny") / "modeling_own.py").write_text("raise SystemExit('never run')")
    result = perform(spec)
    made = result.output
    assert isinstance(made, ExportOutput) and made.gguf is not None, result.failure
    folder = Path(download_artifacts(made.uri, dst_path=str(spec.path("downloaded"))))
    content = (folder / made.gguf.path).read_bytes()
    assert made.gguf.path == "gguf/ticket-router-f32.gguf" and made.gguf.type == "f32"
    assert (len(content), hashlib.sha256(content).hexdigest()) == (made.gguf.bytes, made.gguf.digest)

    reader = gguf.GGUFReader(folder / made.gguf.path)
    merged = load_file(folder / "model" / "model.safetensors")
    stored = {tensor.name: tensor.data for tensor in reader.tensors}
    assert made.gguf.tensors == len(stored) == len(merged)
    assert all((stored[name] == values).all() for name, values in merged.items())
    assert text(reader, "general.name") == "-ticket router"
    assert "config.json" in text(reader, "general.description") and ".py" not in text(reader, "general.description")
    assert "MY_TOKEN" not in text(reader, "test.environment").split()

    card = (folder / "model" / "README.md").read_text()
    provenance = json.loads((folder / "model" / "studio.provenance.json").read_text())
    assert f"| gguf.digest | {made.gguf.digest} |" in card and provenance["gguf"] == made.gguf.model_dump()
    assert mlflow.models.Model.load(folder).metadata["studio"]["gguf"]["type"] == "f32"
    assert "INFO:hf-to-gguf:Set model parameters" in capfd.readouterr().out
    assert result.measures.bytes > made.gguf.bytes and not list(spec.folder.glob(".*"))

    again = perform(spec.model_copy(update={"attempt": 2})).output
    assert isinstance(again, ExportOutput) and again.gguf == made.gguf


@pytest.mark.parametrize(("kind", "name"), [("q8_0", "ticket-router-q8_0.gguf"), ("auto", "ticket-router.gguf")])
def test_the_file_is_called_after_the_type_of_its_numbers(
    make_spec: MakeSpec, monkeypatch: pytest.MonkeyPatch, kind: str, name: str
) -> None:
    import gguf

    monkeypatch.setenv(VARIABLE, str(CONVERTER))
    spec = asking(make_spec, kind)
    made = perform(spec).output
    assert isinstance(made, ExportOutput) and made.gguf is not None
    assert made.gguf.path == f"gguf/{name}"
    wanted = {"q8_0": gguf.GGMLQuantizationType.Q8_0, "auto": gguf.GGMLQuantizationType.F16}[kind]
    assert wanted in {tensor.tensor_type for tensor in gguf.GGUFReader(spec.folder / made.gguf.path).tensors}


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ("", "is not set"),
        ("convert_hf_to_gguf.py", "is no absolute path"),
        ("/nowhere/convert_hf_to_gguf.py", "does not exist"),
        (str(ROOT), "is no file"),
    ],
)
def test_without_a_converter_nothing_is_merged(
    make_spec: MakeSpec, monkeypatch: pytest.MonkeyPatch, said: str, message: str
) -> None:
    monkeypatch.setenv(VARIABLE, said)
    spec = asking(make_spec)
    told = failure(spec)
    assert message in told and f"set {VARIABLE} to the absolute path" in told
    assert "merge" not in messages(spec).split() and not (spec.folder / "model").exists()


OUT = "import sys; out = open(sys.argv[sys.argv.index('--outfile') + 1], 'wb'); "


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("import sys; print('ERROR:hf-to-gguf:Model X is not supported'); sys.exit(1)", "code 1: ERROR:hf-to-gguf:Mo"),
        ("import no_such_package", "exit code 1: ModuleNotFoundError: No module named 'no_such_package'"),
        ("import os; os._exit(3)", "exit code 3, and said nothing"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "was killed by SIGKILL (out of memory?)"),
        ("print('all is well')", "ended well and wrote no file"),
        (f"{OUT}out.write(b'nonsense' * 9)", "is no GGUF file: it begins with b'nons'"),
        (f"{OUT}out.write(b'GGUF')", "is no GGUF file"),
        (f"{OUT}out.write({struct.pack('>4sIQQ', b'GGUF', 3, 5, 0)!r} * 9)", "GGUF of version 50331648, not 2 or 3"),
        (f"{OUT}out.write({struct.pack('<4sIQQ', b'GGUF', 3, 0, 0)!r})", "whose header tells of 0 tensors"),
        (f"{OUT}out.write({struct.pack('<4sIQQ', b'GGUF', 3, 1 << 40, 0)!r})", "tells of 1099511627776 tensors"),
    ],
)
def test_a_converter_that_goes_wrong_is_told_and_registers_nothing(
    make_spec: MakeSpec, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, script: str, message: str
) -> None:
    (tmp_path / "wrong.py").write_text(script)
    monkeypatch.setenv(VARIABLE, str(tmp_path / "wrong.py"))
    spec = asking(make_spec)
    told = failure(spec)
    assert message in told and "wrong.py" in told and "log has all that it said" in told
    assert not (spec.folder / "model").exists() and not (spec.folder / "gguf").exists()
    assert not list(spec.folder.glob(".gguf*"))


def test_a_converter_that_hangs_ends_with_the_job(make_spec: MakeSpec, tmp_path: Path) -> None:
    waiting = "import os, time; print('waiting', os.getpid(), flush=True); time.sleep(600)"
    (tmp_path / "slow.py").write_text(waiting)
    spec = asking(make_spec)
    job = start(spec, **{VARIABLE: str(tmp_path / "slow.py")})
    deadline = time.monotonic() + 120
    while "waiting" not in log(spec) and job.poll() is None and time.monotonic() < deadline:
        time.sleep(0.2)
    pid = int(log(spec).partition("waiting ")[2].split()[0])
    job.send_signal(signal.SIGTERM)
    assert job.wait(timeout=60) == 143
    assert not psutil.pid_exists(pid)


def test_llama_cpps_own_converter_writes_the_merged_weights(
    make_spec: MakeSpec, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """STUDIO_TEST_GGUF_CONVERTER is the path of a real convert_hf_to_gguf.py, whose imports are installed."""
    import gguf
    from safetensors.numpy import load_file

    real = os.environ.get("STUDIO_TEST_GGUF_CONVERTER", "")
    if not real:
        pytest.skip("STUDIO_TEST_GGUF_CONVERTER names no converter")
    monkeypatch.setenv(VARIABLE, real)
    told = failure(make_spec(export(None, gguf="f32"), "unknown-tokenizer"))
    assert "BPE pre-tokenizer was not recognized" in told
    tokenizer = known_tokenizer()
    tokenizer.save_pretrained(str(project / "models" / "tiny"))
    spec = make_spec(export(None, gguf="f32"))
    made = perform(spec).output
    assert isinstance(made, ExportOutput) and made.gguf is not None
    reader = gguf.GGUFReader(spec.folder / made.gguf.path)
    merged = load_file(spec.folder / "model" / "model.safetensors")
    stored = {tensor.name: tensor.data for tensor in reader.tensors}
    assert text(reader, "general.architecture") == "llama" and text(reader, "general.name") == "ticket-router"
    assert made.gguf.tensors == len(stored) == len(merged)
    assert (stored["token_embd.weight"] == merged["model.embed_tokens.weight"]).all()
    assert (stored["blk.1.ffn_down.weight"] == merged["model.layers.1.mlp.down_proj.weight"]).all()


def known_tokenizer() -> Any:
    """Of a kind that llama.cpp knows without having seen it: BPE with a token for every byte, as Llama 2 has it."""
    from tokenizers import Tokenizer, decoders, models, normalizers
    from transformers import PreTrainedTokenizerFast

    specials = ["<unk>", "<s>", "</s>", "<pad>"]
    words = [*specials, *(f"<0x{byte:02X}>" for byte in range(256)), "\u2581", "a", "b"]
    backend = Tokenizer(
        models.BPE(vocab={word: number for number, word in enumerate(words)}, merges=[], byte_fallback=True)
    )
    backend.normalizer = normalizers.Replace(" ", "\u2581")
    backend.decoder = decoders.Sequence([decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse()])
    roles = {"unk_token": "<unk>", "bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>"}
    return PreTrainedTokenizerFast(tokenizer_object=backend, **roles)
