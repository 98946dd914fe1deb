package onnxserve;

import static onnxserve.Checks.equal;

import java.util.concurrent.atomic.AtomicInteger;

/** Polling for registered and unregistered models. */
final class AdoptionChecks {
    private AdoptionChecks() {}

    static void aLookThatFailsIsNotTheLast() {
        AtomicInteger looks = new AtomicInteger();
        Adoption.Look look = () -> {
            if (looks.incrementAndGet() < 3) {
                throw new IllegalStateException("a list was changed meanwhile");
            }
        };
        boolean failed = false;
        for (boolean expected : new boolean[] {true, true, false}) {
            failed = Adoption.fails(look, failed);
            equal(expected, failed);
        }
    }
}
