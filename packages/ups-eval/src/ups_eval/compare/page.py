"""Several runs as one self-contained page."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from ups_eval.compare.arms import Arm, lines, spec_differences
from ups_eval.compare.differences import differences
from ups_eval.compare.figures import arm_colours, rollout_figure, training_figure
from ups_eval.page_seal import sealed_page
from ups_eval.pages import environment
from ups_eval.tables import metric_label


def render(arms: Sequence[Arm], metric: str = "nrmse") -> str:
    """The page as HTML without external files or scripts.

    Args:
        arms: the first is the reference of all comparisons.
        metric: that is compared.
    """
    reference, others = arms[0], arms[1:]
    colours = arm_colours(arms)
    tasks = list(dict.fromkeys(task for arm in arms for task in arm.scored[0].results.tasks))
    figures = {task: rollout_figure(arms, task, colours) for task in tasks}
    training = training_figure(arms, colours)
    page = (
        environment("compare")
        .get_template("page.html.j2")
        .render(
            arms=arms,
            metric=metric_label(metric),
            colours=colours,
            lines=[line for arm in arms for line in lines(arm, metric)],
            differences=[item for arm in others for item in differences(reference, arm, metric)],
            specs=[(arm.label, spec_differences(reference, arm)) for arm in others],
            figures={task: Markup(svg) for task, svg in figures.items() if svg is not None},
            training=None if training is None else Markup(training),
        )
    )
    return sealed_page(page)
