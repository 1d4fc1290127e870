"""What this package provides; registering it imports neither torch nor Lightning."""

from ups_core import Register, hookimpl


@hookimpl
def ups_register_stages(register: Register) -> None:
    register(
        "operator",
        "ups_train.stages.operator:operator",
        config="ups_train.stages.operator_config:OperatorConfig",
        summary="train a simulator on all tasks, select it on the validation rollout",
        cite=("ups_train.citations:operator",),
    )
    register(
        "diffusion_residual",
        "ups_train.stages.residual:diffusion_residual",
        config="ups_train.stages.residual_config:ResidualConfig",
        summary="train a flow that samples what the operator's predictions lack",
        cite=("ups_train.citations:diffusion_residual",),
    )
    register(
        "consistency_distillation",
        "ups_train.stages.distillation:consistency_distillation",
        config="ups_train.stages.residual_config:DistillationConfig",
        summary="train a student that samples a flow's residuals in one or two evaluations",
        cite=("ups_train.citations:distillation",),
    )
    register(
        "steady_prior",
        "ups_train.stages.prior:steady_prior",
        config="ups_train.stages.prior_config:PriorConfig",
        summary="train a generative prior of coefficient and solution of steady tasks, given observations",
        cite=("ups_train.citations:prior",),
    )


@hookimpl
def ups_register_losses(register: Register) -> None:
    register(
        "relative_l2",
        "ups_train.losses.relative_l2:RelativeL2Loss",
        config="ups_core:LossConfig",
        summary="relative L2 error per sample, frame and channel",
        former_names={"nrmse": "0.2"},
    )
    register(
        "h1",
        "ups_train.losses.relative_h1:RelativeH1",
        config="ups_train.losses.config:H1Config",
        summary="relative error of values and slopes",
    )
    register(
        "mse",
        "ups_train.losses.mean_square:MeanSquare",
        config="ups_train.losses.config:MeanSquareConfig",
        summary="mean square error",
    )
    register(
        "residual",
        "ups_train.losses.residual:ResidualLoss",
        config="ups_train.losses.config:ResidualLossConfig",
        summary="physics: how far a prediction is from solving the equation, where a solver knows",
    )
    register(
        "invariants",
        "ups_train.losses.invariants:InvariantsLoss",
        config="ups_train.losses.config:InvariantsConfig",
        summary="physics: drift of what the task conserves",
    )
    register(
        "bounds",
        "ups_train.losses.bounds:BoundsLoss",
        config="ups_train.losses.config:BoundsConfig",
        summary="physics: values below zero, or beyond those of the given frame",
    )


@hookimpl
def ups_register_optimizers(register: Register) -> None:
    register(
        "adam",
        "ups_train.optimizers.factories:adam",
        config="ups_train.optimizers.config:AdamConfig",
        summary="Adam, no decay",
        cite=("ups_train.citations:ADAM",),
    )
    register(
        "sgd",
        "ups_train.optimizers.factories:sgd",
        config="ups_train.optimizers.config:SGDConfig",
        summary="stochastic gradient descent with momentum",
    )
    register(
        "adamw",
        "ups_train.optimizers.factories:adamw",
        config="ups_train.optimizers.config:AdamWConfig",
        summary="AdamW, no decay on norms and biases",
        cite=("ups_train.citations:ADAMW",),
    )
    register(
        "muon",
        "ups_train.optimizers.factories:muon",
        config="ups_train.optimizers.config:MuonConfig",
        summary="Muon, for matrices only: use it in a group of 'grouped'",
        cite=("ups_train.citations:muon",),
    )
    register(
        "grouped",
        "ups_train.optimizers.factories:grouped",
        config="ups_train.optimizers.config:GroupedConfig",
        summary="several optimizers as one, each for a group of parameters",
    )
    register(
        "muon_hybrid",
        "ups_train.optimizers.factories:muon_hybrid",
        config="ups_train.optimizers.config:MuonHybridConfig",
        summary="Muon for hidden matrices, AdamW for the rest",
        cite=(
            "ups_train.citations:muon",
            "ups_train.citations:ADAMW",
        ),
    )


@hookimpl
def ups_register_schedulers(register: Register) -> None:
    register(
        "cosine",
        "ups_train.optimizers.schedulers:cosine",
        config="ups_train.optimizers.config:CosineConfig",
        summary="linear warm-up, then a cosine",
        cite=("ups_train.citations:COSINE",),
    )
    register(
        "wsd",
        "ups_train.optimizers.schedulers:warmup_stable_decay",
        config="ups_train.optimizers.config:WSDConfig",
        summary="warm-up, stable, decay",
        cite=(
            "ups_train.citations:WSD",
            "ups_train.citations:WSD_COOLDOWN",
        ),
    )
    register(
        "one_cycle",
        "ups_train.optimizers.schedulers:one_cycle",
        config="ups_train.optimizers.config:OneCycleConfig",
        summary="a cosine up, a cosine down",
        cite=("ups_train.citations:ONE_CYCLE",),
    )
    register(
        "plateau",
        "ups_train.optimizers.schedulers:plateau",
        config="ups_train.optimizers.config:PlateauConfig",
        summary="falls when the validation rollout no longer improves",
    )
    register(
        "step",
        "ups_train.optimizers.schedulers:step_decay",
        config="ups_train.optimizers.config:StepDecayConfig",
        summary="a fall by a factor at equal intervals",
    )
    register(
        "constant",
        "ups_train.optimizers.schedulers:constant",
        config="ups_train.optimizers.config:ConstantConfig",
        summary="one learning rate",
    )


@hookimpl
def ups_register_strategies(register: Register) -> None:
    register(
        "auto",
        "ups_train.parallel.strategies:auto",
        config="ups_core:StrategyConfig",
        summary="by the number of devices and the size of the model",
    )
    register(
        "single",
        "ups_train.parallel.strategies:single",
        config="ups_train.parallel.config:SingleConfig",
        summary="one device",
    )
    register(
        "ddp",
        "ups_train.parallel.strategies:ddp",
        config="ups_train.parallel.config:DDPConfig",
        summary="the complete model on every device, gradients averaged",
    )
    register(
        "fsdp2",
        "ups_train.parallel.strategies:fsdp2",
        config="ups_train.parallel.config:Fsdp2Config",
        summary="parameters, gradients and optimizer state sharded",
        cite=("ups_train.citations:FSDP",),
    )
    register(
        "deepspeed",
        "ups_train.parallel.strategies:deepspeed",
        config="ups_train.parallel.config:DeepSpeedConfig",
        summary="ZeRO by DeepSpeed, an optional package",
        cite=("ups_train.citations:ZERO",),
    )


@hookimpl
def ups_register_launchers(register: Register) -> None:
    register(
        "torchrun",
        "ups_train.parallel.torchrun:Torchrun",
        config="ups_train.parallel.config:TorchrunConfig",
        summary="a process for every device of this machine, restarted when one fails",
    )


@hookimpl
def ups_register_trackers(register: Register) -> None:
    register(
        "csv",
        "ups_train.trackers.csv_file:CSVTracker",
        config="ups_train.trackers.config:CSVConfig",
        summary="metrics.csv in the directory of every training step",
    )
    register(
        "wandb",
        "ups_train.trackers.wandb_run:WandbTracker",
        config="ups_train.trackers.config:WandbConfig",
        summary="Weights and Biases, offline by default",
    )
    register(
        "tensorboard",
        "ups_train.trackers.tensorboard_files:TensorBoardTracker",
        config="ups_train.trackers.config:TensorBoardConfig",
        summary="TensorBoard event files in the run directory",
    )
    register(
        "mlflow",
        "ups_train.trackers.mlflow_run:MLflowTracker",
        config="ups_train.trackers.config:MLflowConfig",
        summary="MLflow, by default in an SQLite database beside the runs",
    )


@hookimpl
def ups_register_commands(register: Register) -> None:
    register(
        "size",
        "ups_train.sizing.command:SizeCommand",
        config="ups_core:CommandConfig",
        summary="what a spec's training takes on this device: memory, micro-batch, time, disk",
    )
