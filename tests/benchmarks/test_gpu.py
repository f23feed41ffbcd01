"""The ten minutes on a GPU: what a step's fault costs, what is kept, and all steps in miniature on a CPU."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from benchmarks.gpu.context import Context, figures_path
from benchmarks.gpu.drive import Drive
from benchmarks.gpu.kernels import class_of, time_by_class
from benchmarks.gpu.schedule import SECONDS, STEPS, Step
from benchmarks.gpu.sizes import REHEARSAL
from benchmarks.gpu.summary import REQUIRED_TRAINING, WRITERS, section, summary
from tools.gpu_page import BEGIN, END, PAGE, page

ROOT = Path(__file__).parent.parent.parent


def context(folder, **changes):
    values = {"name": "training", "device": "cpu", "sizes": REHEARSAL, "work": folder, "kept": folder}
    return Context(**{**values, "until": time.time() + 60, "earlier": {}, **changes})


def test_the_steps_that_must_run_fit_into_the_time_even_if_each_takes_all_of_its_own():
    *others, long_training = STEPS
    assert long_training.name == "long_training"
    assert sum(step.limit for step in others if not step.leaves) <= SECONDS
    assert set(WRITERS) == {step.name for step in STEPS}
    assert all((ROOT / "benchmarks" / "gpu" / f"{step.module}.py").is_file() for step in STEPS)


@pytest.fixture
def steps_of(tmp_path, monkeypatch):
    """Steps from lines of Python, as modules of a package of the same name elsewhere."""
    package = tmp_path / "code" / "benchmarks" / "gpu"
    package.mkdir(parents=True)
    (package.parent / "__init__.py").touch()
    for file in ("__init__", "context", "sizes"):
        (package / f"{file}.py").write_text((ROOT / "benchmarks" / "gpu" / f"{file}.py").read_text())
    monkeypatch.setattr("benchmarks.gpu.drive.ROOT", tmp_path / "code")

    def make(limit=60.0, **bodies):
        for name, body in bodies.items():
            head = "import os, signal, subprocess, sys, time\nfrom benchmarks.gpu.context import run_step\n"
            (package / f"{name}.py").write_text(f"{head}def main(context):\n    {body}\nrun_step(main)\n")
        return [Step(name, name, limit) for name in bodies]

    return make


def results(out):
    return json.loads((out / "gpu.json").read_text())["steps"]


def test_a_crash_a_kill_and_a_missing_package_cost_one_step_and_keep_its_earlier_figures(steps_of, tmp_path):
    steps = steps_of(
        crash="context.record(first=1); raise RuntimeError('no such kernel')",
        kill="context.record(first=2); os.kill(os.getpid(), signal.SIGSEGV)",
        last="context.record(seen=context.earlier)",
    )
    steps.insert(1, Step("lacking", "lacking", 60, packages=("no_such_package",)))
    out = tmp_path / "out"
    assert not Drive(out, tmp_path / "work", "cpu", rehearsal=True, seconds=100).run(steps)
    found = results(out)
    assert {name: each["status"] for name, each in found.items()} == {
        "crash": "failed", "lacking": "skipped", "kill": "failed", "last": "done",
    }  # fmt: skip
    assert found["crash"]["figures"] == {"first": 1}
    assert "no such kernel" in found["crash"]["remark"]
    assert found["kill"]["remark"] == "killed by signal 11"
    assert found["lacking"]["remark"] == "no_such_package is not installed"
    assert found["last"]["figures"]["seen"] == {"crash": {"first": 1}, "lacking": {}, "kill": {"first": 2}}
    assert "RuntimeError: no such kernel" in (out / "log.txt").read_text()
    assert {file.name for file in out.iterdir()} == {"gpu.json", "summary.md", "log.txt"}


def wait_until(happened):
    deadline = time.monotonic() + 100
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_step_that_hangs_is_ended_with_what_it_began_and_the_rest_goes_on(steps_of, tmp_path, monkeypatch):
    class Patient(subprocess.Popen):
        """Waits as long as it is told to, from when the first step has left its figure."""

        def wait(self, timeout=None):
            wait_until(figures_path(tmp_path / "work", "hang").exists)
            return super().wait(timeout)

    monkeypatch.setattr(subprocess, "Popen", Patient)
    child = tmp_path / "child"
    sleeps = f"open({str(child)!r}, 'w').write(str(subprocess.Popen(['sleep', '600']).pid))"
    (hang,) = steps_of(limit=0.2, hang=f"{sleeps}; context.record(figure=3); time.sleep(600)")
    (last,) = steps_of(last="pass")
    assert not Drive(tmp_path / "out", tmp_path / "work", "cpu", rehearsal=False, seconds=100).run([hang, last])
    found = results(tmp_path / "out")
    assert found["hang"]["status"] == "timed out"
    assert found["hang"]["figures"] == {"figure": 3}
    assert found["last"]["status"] == "done"
    wait_until(lambda: not runs(child.read_text()))


def runs(process):
    try:
        return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_without_time_steps_are_left_out_and_a_check_that_does_not_hold_is_no_success(steps_of, tmp_path):
    steps = steps_of(check="context.check('bound', float('nan'), 1e-4)")
    out = tmp_path / "out"
    assert not Drive(out, tmp_path / "work", "cpu", rehearsal=True, seconds=100).run(steps)
    assert "FAILED: bound" in (out / "summary.md").read_text()
    assert Drive(out, tmp_path / "work", "cpu", rehearsal=True, seconds=1).run(steps)
    assert results(out)["check"] == {
        "status": "skipped", "remark": "no time was left for it", "seconds": 0.0, "figures": {},
    }  # fmt: skip
    assert Drive(out, tmp_path / "work", "cpu", True, 100).run(steps_of(other="pass"), keep=True)
    assert set(results(out)) == {"check", "other"}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("sm90_xmma_fprop_implicit_gemm_bf16bf16_bf16f32_f32_nhwckrsc_nhwc_tilesize128x128x64", "convolutions"),
        ("void cutlass__5x_cudnn::Kernel<cutlass_tensorop_bf16_s16816dgrad_optimized>", "convolutions"),
        ("aten::convolution_backward", "convolutions"),
        ("void cudnn::bn_fw_tr_1C11_kernel_NCHW<float, float>", "batch norm"),
        ("void at::native::batch_norm_backward_reduce_channels_last_kernel<4, float>", "batch norm"),
        ("triton_red_fused__native_batch_norm_legit_functional_elu_convolution_3", "batch norm"),
        ("triton_poi_fused_convolution_elu_7", "ELU"),
        ("triton_poi_fused_mul_add_2", "other"),
        ("void at::native::vectorized_elementwise_kernel<4, at::native::elu_backward_kernel(bool)>", "ELU"),
        ("nvjet_tst_128x256_64x4_1x2_h_bz_coopA_NNT", "products"),
        ("cutlass_80_simt_sgemm_128x64_8x5_nn_align1", "products"),
        ("aten::addmm", "products"),
        ("void at::native::multi_tensor_apply_kernel<FusedOptimizerTensorListMetadata, FusedAdamMathFunctor>", "Adam"),
        ("Memcpy DtoD (Device -> Device)", "copies and casts"),
        ("void at::native::distribution_elementwise_grid_stride_kernel<float, 4>", "random numbers"),
        ("void at::native::reduce_kernel<512, 1, at::native::ReduceOp<float>>", "sums"),
        ("something else", "other"),
    ],
)
def test_kernels_are_told_apart_by_name(name, expected):
    assert class_of(name) == expected


def test_the_times_by_class_are_those_of_the_work():
    left = torch.rand((300, 300))
    found = time_by_class(lambda: [left @ left for _ in range(20)], 2, torch.device("cpu"))
    assert next(iter(found["ms_by_class"])) == "products"
    assert found["ms_by_class"]["products"] > 0.5 * found["ms_on_device"]
    assert sum(found["ms_by_class"].values()) == pytest.approx(found["ms_on_device"])


@pytest.mark.slow
@pytest.mark.timeout(1300)
def test_a_rehearsal_does_every_step(tmp_path):
    out = tmp_path / "out"
    words = [
        sys.executable,
        "-m",
        "benchmarks.gpu",
        str(out),
        "--rehearsal",
        "--seconds",
        "1200",
    ]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, env=os.environ | {"IAFSWEEP_DATA": ""})
    assert done.returncode == 0, done.stdout + done.stderr + (out / "log.txt").read_text()
    found = json.loads((out / "gpu.json").read_text())
    assert {name: each["status"] for name, each in found["steps"].items()} == {step.name: "done" for step in STEPS}
    figures = {name: each["figures"] for name, each in found["steps"].items()}
    assert figures["trial_memory"]["status"] == "oom"
    assert figures["small_sweep"]["completed"] == figures["small_sweep"]["trials"] == 8
    assert figures["training_compiled"]["rows"][0]["compiling_failed"] == ""
    for row in figures["training"]["rows"]:
        assert row["images_a_second"] > 0
        assert {"convolutions", "products"} & set(row["kernels"]["ms_by_class"])
        assert 0 < row["share_of_products"] < 1
    assert figures["scoring"]["is_rows_a_second"] > 0
    assert figures["long_training"]["nll_images"] > 0
    assert (out / "training-metrics.jsonl").read_text().count("\n") == figures["long_training"]["epochs"]
    text = (out / "summary.md").read_text()
    assert text == summary(found)
    assert "nan" not in text
    with pytest.raises(ValueError, match="not of a GPU"):
        page(PAGE.read_text(), found)
    made = page(PAGE.read_text(), found | {"rehearsal": False})
    assert section(found) in made
    assert figures["machine"]["device"] in made


@pytest.mark.slow
def test_sigterm_ends_the_step_and_keeps_the_results(tmp_path):
    out = tmp_path / "out"
    words = [sys.executable, "-m", "benchmarks.gpu", str(out), "--rehearsal", "--only", "machine,correctness"]
    command = subprocess.Popen(words, cwd=ROOT, stdout=subprocess.DEVNULL)
    wait_until(figures_path(tmp_path / "out-work", "correctness").exists)  # it runs
    command.send_signal(signal.SIGTERM)
    assert command.wait(30) == 1
    assert [each["status"] for each in results(out).values()] == ["done", "interrupted"]


def test_the_page_takes_the_section_between_its_marks_and_refuses_what_is_not_of_a_gpu():
    machine = {"device": "NVIDIA H100", "memory": 2**36, "packages": {"torch": "2.11"}, "python": "3.12"}
    row = {"name": "eager, bfloat16", "batch_size": 200, "images_a_second": 50_000.0, "lowest": 49_000.0,
           "highest": 51_000.0, "ms_a_step": 4.0, "memory": 2**30}  # fmt: skip
    steps = {
        "machine": {"status": "done", "remark": "", "seconds": 1.0, "figures": machine},
        "training": {"status": "done", "remark": "", "seconds": 1.0,
                     "figures": {"flop_an_image": 1.5e9, "rows": [row]}},
        "small_sweep": {"status": "skipped", "remark": "ray is not installed", "seconds": 0.0, "figures": {}},
    }  # fmt: skip
    found = {"rehearsal": False, "began": "2026-12-01 10:00:00 UTC", "seconds": 500.0, "steps": steps}
    made = page(f"before\n{BEGIN}\nold\n{END}\nafter\n", found)
    assert made.startswith(f"before\n{BEGIN}\n")
    assert made.endswith(f"{END}\nafter\n")
    assert "old" not in made
    assert "**NVIDIA H100**, 64.0 GiB" in made
    assert "| eager, bfloat16 | 200 | 50,000 |" in made
    assert f"{REQUIRED_TRAINING:,}" in made
    assert "- `small_sweep`: skipped (ray is not installed)" in made
    assert page(made, found) == made
    for wrong in (found | {"rehearsal": True}, found | {"steps": {}}):
        with pytest.raises(ValueError, match="not of a GPU"):
            page(made, wrong)
    with pytest.raises(ValueError, match="marks"):
        page("nothing", found)
    assert page(PAGE.read_text(), found).count(BEGIN) == 1


def test_figures_are_left_as_soon_as_they_are_known(tmp_path):
    step = context(tmp_path)
    step.check("small", 1e-5, 1e-4)
    step.require("true", holds=True)
    step.append("rows", {"a": 1})
    step.append("rows", {"a": 2})
    left = json.loads((tmp_path / "training.json").read_text())
    assert left["rows"] == [{"a": 1}, {"a": 2}]
    assert [each["holds"] for each in left["checks"]] == [True, True]
