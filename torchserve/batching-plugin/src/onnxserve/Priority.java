package onnxserve;

/**
 * How urgent a request is, by its header {@code x-onnxserve-priority}; the first of these that waits is served first.
 *
 * <p>A priority that is passed over {@code patience} times in a row is served next, so each keeps a
 * guaranteed share of 1 / (patience + 1), of turns and of the queue's room: normal requests a ninth
 * beside a flood of urgent ones, batch requests a thirty-third beside a flood of others.
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

    /** Without the header, or with one that nobody knows, a request is normal. */
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

    /** Jobs of this priority that others may not displace from a queue of this capacity. */
    int guaranteed(int capacity) {
        return (capacity + patience) / (patience + 1);
    }
}
