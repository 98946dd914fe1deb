package onnxserve;

import java.util.concurrent.atomic.AtomicLongArray;

/** Counts the jobs that left a queue without being computed, by reason. Thread-safe. */
final class DropCounters {
    private static final Drop[] REASONS = Drop.values();
    private final AtomicLongArray counts = new AtomicLongArray(REASONS.length);
    private final Runnable onDrop;

    /** {@code onDrop} runs for each such job. */
    DropCounters(Runnable onDrop) {
        this.onDrop = onDrop;
    }

    /** Counts a job and answers it. Call it without the queue's lock, since it writes to a connection. */
    void drop(QueuedJob job, Drop reason) {
        counts.incrementAndGet(reason.ordinal());
        onDrop.run();
        reason.answer(job.job);
    }

    long count(Drop reason) {
        return counts.get(reason.ordinal());
    }

    /** Returns the members of a JSON object. */
    String json() {
        StringBuilder members = new StringBuilder();
        for (Drop reason : REASONS) {
            members.append(String.format(",\"%s\":%d", reason.label(), count(reason)));
        }
        return members.substring(1);
    }
}
