"""Writes diffusion.json: samplers of Hugging Face diffusers on a fixed denoiser and fixed noise.

Needs diffusers 0.39.0, torch 2.11.0 and numpy 2.4.1: `python tests/reference/diffusion.py`.
"""

import json
import math
from pathlib import Path

import numpy as np
import torch
from diffusers import DDIMScheduler, DDPMScheduler, DPMSolverMultistepScheduler
from diffusers.schedulers import scheduling_ddpm

SEED = 7
TIMESTEPS = 1000
PARTS = (12, 4)
"""Reflectance latents and shape coefficients of a sample."""
STEPS = (5, 10, 20, 50)


def normals(step: int, part: int, count: int) -> list[float]:
    """Unit normals of Philox bits by Marsaglia's polar method, float32."""
    bits = np.random.Philox(key=[SEED, 0], counter=[0, step, part, 0])
    numbers: list[float] = []
    while len(numbers) < count:
        x, y = ((int(word) >> 11) * 2.0**-52 - 1.0 for word in bits.random_raw(2))
        square = x * x + y * y
        if 0 < square < 1:
            factor = math.sqrt(-2 * math.log(square) / square)
            numbers += [x * factor, y * factor]
    return [float(np.float32(number)) for number in numbers[:count]]


def noise(step: int) -> torch.Tensor:
    """The noise of a step, float64 [1, 16]."""
    return torch.tensor(
        [sum((normals(step, part, count) for part, count in enumerate(PARTS)), [])], dtype=torch.float64
    )


def denoiser(x: torch.Tensor, timestep: int) -> torch.Tensor:
    """A prediction that is plain arithmetic, so that it is the same everywhere."""
    return 0.6 * x + 0.5 * x / (1 + x * x) + 0.1 * (timestep / TIMESTEPS - 0.5)


def run(scheduler, steps: int) -> list[float]:
    """Samples from the noise of step 0; stochastic schedulers take the noise of steps 1, 2, …"""
    scheduler.alphas_cumprod = scheduler.alphas_cumprod.double()
    scheduler.set_timesteps(steps)
    x = noise(0)
    for timestep in scheduler.timesteps:
        x = scheduler.step(denoiser(x, int(timestep)), timestep, x).prev_sample
    return [float(f"{value:.9g}") for value in x[0]]


def main() -> None:
    common = {
        "num_train_timesteps": TIMESTEPS,
        "beta_start": 1e-4,
        "beta_end": 0.012,
        "beta_schedule": "linear",
        "timestep_spacing": "trailing",
    }
    cases = []
    for prediction in ("epsilon", "v"):
        options = common | {"prediction_type": {"epsilon": "epsilon", "v": "v_prediction"}[prediction]}
        for steps in STEPS:
            ddim = DDIMScheduler(**options, clip_sample=False)
            cases.append({"sampler": {"ddim": {"eta": 0.0}}, "prediction": prediction, "values": run(ddim, steps)})
            cases[-1]["steps"] = steps
            solver = DPMSolverMultistepScheduler(**options, final_sigmas_type="zero")
            # Sigmas are float32 in diffusers unless they are given in another precision.
            solver.alphas_cumprod = solver.alphas_cumprod.double()
            cases.append({"sampler": "dpm_solver", "prediction": prediction, "values": run(solver, steps)})
            cases[-1]["steps"] = steps
            drawn = iter(range(1, steps + 1))
            scheduling_ddpm.randn_tensor = lambda *_, drawn=drawn, **__: noise(next(drawn))
            ddpm = DDPMScheduler(**options, clip_sample=False, variance_type="fixed_small")
            cases.append({"sampler": "ddpm", "prediction": prediction, "values": run(ddpm, steps)})
            cases[-1]["steps"] = steps
    schedule = DDIMScheduler(**common).alphas_cumprod.double().tolist()
    result = {"seed": SEED, "noise": noise(0)[0].tolist(), "alphas_cumprod": schedule, "cases": cases}
    path = Path(__file__).with_suffix(".json")
    lines = ",\n".join(f"{json.dumps(key)}: {json.dumps(value)}" for key, value in result.items())
    path.write_text("{\n" + lines + "\n}\n")


if __name__ == "__main__":
    main()
