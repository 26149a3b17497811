"""How good written texts are beside those that were expected."""

from __future__ import annotations

import warnings
from collections.abc import Sequence


def pair_scores(references: Sequence[str], answers: Sequence[str]) -> dict[str, float]:
    """Exact match and BLEU.

    BLEU (Papineni et al. 2002) is that of sacrebleu (Post 2018) over the whole corpus, with one
    reference for each text, cased, in words as WMT counts them (13a), or in characters where no
    reference has a space, as in dates, Chinese or Japanese. N-grams are counted up to 4, or up to
    the length of the longest reference if that is less.

    Args:
        references: the texts expected.
        answers: the texts written, one for each.

    Returns:
        `exact_match`, the share of answers that are their reference, 0 to 1; and `bleu`, 0 to 100.
        Without the package sacrebleu, `bleu` is missing, and a warning says how to install it.

    Raises:
        ValueError: there are not as many answers as references, or none.

    Example:

    >>> from kerasrnn.zoo.pair_scores import pair_scores
    >>> pair_scores(["2020-03-04", "2020-03-05"], ["2020-03-04", "2020-04-05"])["exact_match"]
    0.5
    """
    if len(references) != len(answers) or not references:
        raise ValueError(
            "`answers` must have one text for each of the `references`, of which there must be at "
            f"least one. Received {len(answers)} answers for {len(references)} references."
        )
    right = sum(a == b for a, b in zip(references, answers, strict=True))
    scores = {"exact_match": right / len(references)}
    try:
        import sacrebleu
    except ImportError:
        warnings.warn(
            "`bleu` is left out: it needs the package sacrebleu. Install it with "
            "pip install 'kerasrnn[training]', or pip install -e '.[training]' in a checkout.",
            stacklevel=2,
        )
        return scores
    in_words = any(" " in reference for reference in references)
    longest = max(len(text.split() if in_words else text) for text in references)
    metric = sacrebleu.BLEU(
        tokenize="13a" if in_words else "char",
        max_ngram_order=max(1, min(4, longest)),
        force=True,  # whether texts look tokenised is none of its business
    )
    return {**scores, "bleu": metric.corpus_score(list(answers), [list(references)]).score}
