"""The steps of an export, in order."""

from __future__ import annotations

from . import (
    certify,
    check,
    choose,
    fetch,
    lint,
    load,
    measure,
    package,
    parity,
    preprocess,
    profile,
    prove,
    quantise,
    reference,
    report,
    rows,
    search,
    trace,
    verify,
)

STEPS = (
    fetch.STEP,
    rows.STEP,
    load.STEP,
    check.STEP,
    preprocess.STEP,
    reference.STEP,
    trace.STEP,
    lint.STEP,
    verify.STEP,
    quantise.STEP,
    search.STEP,
    parity.STEP,
    measure.STEP,
    choose.STEP,
    certify.STEP,
    profile.STEP,
    package.STEP,
    prove.STEP,
    report.STEP,
)
