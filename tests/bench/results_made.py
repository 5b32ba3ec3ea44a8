"""Made-up folders of results, for tests of what reads them."""

from panlesion.bench.about import About, write_about
from panlesion.bench.predictions import Said, write_predictions
from panlesion.bench.scores import Score, write_scores

SHOTS = (1, 2, 4)


def few_shot(out, row="kidney_tumor-few", *, base=0.3, n=20, stand_in=False, about=True):
    out.mkdir(parents=True)
    scores = []
    for k, shots in enumerate(SHOTS):
        for arm, more in (("scratch", 0.0), ("fine-tuned", 0.15)):
            value = base + more + 0.05 * k
            scores.append(
                Score(
                    row=row, arm=arm, metric="dice", value=value, low=value - 0.1, high=value + 0.1, n=n, shots=shots,
                    repetitions=5, stand_in=stand_in,
                )
            )  # fmt: skip
        scores.append(
            Score(
                row=row, arm="fine-tuned over scratch", metric="dice difference", value=0.15, low=0.05, high=0.25, n=n,
                shots=shots, stand_in=stand_in,
            )
        )  # fmt: skip
    write_scores(out, scores)
    if about:
        write_about(
            out,
            About(
                row=row, title="Kidney tumour, few shots", protocol="few-shot segmentation", data="KiTS23", checkpoint="nano",
                choices={"shots": [1, 2, 4], "steps": 100}, network="nano", parameters=1_500_000, spacing_mm=2.5,
            ),
        )  # fmt: skip
    return out


def survival(out, said=None):
    out.mkdir(parents=True)
    write_scores(out, [Score(row="lung-survival", arm="head", metric="auc", value=0.7, low=0.6, high=0.8, n=12)])
    write_predictions(out, said if said is not None else answers())
    return out


def answers(count=12):
    """Those with more risk die first."""
    return [
        Said(
            case=f"c{n}", patient=f"p{n}", arm="head", evidence=float(n), truth=n >= count // 2, time=float(10 * (count - n)),
            event=n % 3 != 0,
        )
        for n in range(count)
    ]  # fmt: skip
