package onnxserve;

import java.util.Arrays;
import java.util.concurrent.TimeUnit;

/**
 * Whether quiet clients wait for other clients' batches: twice within five seconds, and the second time less
 * than five seconds ago, a client's only job had to wait for a worker while another client was active.
 *
 * <p>Once isn't enough, so that a probe every ten seconds doesn't cost throughput. Two clients are
 * remembered, whichever came last. A priority isn't held back for less urgent ones.
 */
final class Contention {
    private static final long RECENT_NS = TimeUnit.SECONDS.toNanos(5);
    private final long[] waited = new long[Priority.values().length];
    private final long[] waitedAgain = new long[Priority.values().length];
    private String last;
    private long lastAt;
    private String other;
    private long otherAt;

    Contention(long now) {
        Arrays.fill(waited, now - RECENT_NS);
        Arrays.fill(waitedAgain, now - RECENT_NS);
    }

    /** A job came. */
    void arrived(QueuedJob job, long now) {
        String client = name(job);
        if (!client.equals(last)) {
            other = last;
            otherAt = lastAt;
            last = client;
        }
        lastAt = now;
    }

    /** A quiet client's job was taken, and had to wait for a worker until then; others wait still, or not. */
    void waited(QueuedJob job, boolean othersWait, long now) {
        boolean lastIsOther = !name(job).equals(last);
        if (othersWait || (lastIsOther ? recent(lastAt, now) : other != null && recent(otherAt, now))) {
            for (int priority = job.priority.ordinal(); priority < waited.length; priority++) {
                if (recent(waited[priority], now)) {
                    waitedAgain[priority] = now;
                }
                waited[priority] = now;
            }
        }
    }

    /** Batches with jobs of this priority must be short. */
    boolean holds(Priority priority, long now) {
        return recent(waitedAgain[priority.ordinal()], now);
    }

    private static boolean recent(long at, long now) {
        return now - at < RECENT_NS;
    }

    private static String name(QueuedJob job) {
        return job.priority + job.client;
    }
}
