package onnxserve;

/**
 * A request's priority, from the header {@code x-onnxserve-priority}. Of the waiting priorities, the first in
 * this order is served first.
 *
 * <p>A priority that was passed over {@code patience} times in a row is served next. Each priority is
 * therefore guaranteed 1 / (patience + 1) of the turns and of the queue's room: normal requests get a ninth
 * during a flood of urgent ones, and batch requests get a thirty-third during a flood of others.
 */
enum Priority {
    URGENT(1),
    NORMAL(8),
    BATCH(32);

    static final String HEADER = "x-onnxserve-priority";
    private static final Priority[] ALL = values();
    final int patience;

    Priority(int patience) {
        this.patience = patience;
    }

    /** Parses the header; a request without the header, or with an unknown value, is normal. */
    static Priority of(String header) {
        if ("urgent".equals(header)) {
            return URGENT;
        }
        return "batch".equals(header) ? BATCH : NORMAL;
    }

    static int[] patiences() {
        int[] patiences = new int[ALL.length];
        for (Priority priority : ALL) {
            patiences[priority.ordinal()] = priority.patience;
        }
        return patiences;
    }

    /** Returns how many jobs of this priority are safe from displacement in a queue of this capacity. */
    int guaranteed(int capacity) {
        return (capacity + patience) / (patience + 1);
    }
}
