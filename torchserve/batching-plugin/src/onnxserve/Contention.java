package onnxserve;

import java.util.Arrays;
import java.util.List;
import java.util.concurrent.TimeUnit;

/**
 * Whether quiet clients wait for other clients' batches: twice within five seconds, and the second time less
 * than five seconds ago, the only job of a client that sends less than others waited for a batch with
 * several jobs of others.
 *
 * <p>Once isn't enough, so that a probe every ten seconds doesn't cost throughput. A priority isn't held
 * back for less urgent ones.
 */
final class Contention {
    private static final long RECENT_NS = TimeUnit.SECONDS.toNanos(5);
    private final long[] waited = new long[Priority.values().length];
    private final long[] waitedAgain = new long[Priority.values().length];
    private final RecentJobs recent = new RecentJobs();

    Contention(long now) {
        Arrays.fill(waited, now - RECENT_NS);
        Arrays.fill(waitedAgain, now - RECENT_NS);
    }

    /** A job was taken, which came while the batch with jobs of {@code previous} clients ran, or before that. */
    void waited(QueuedJob job, List<String> previous, long now) {
        // Batches of one are as short as can be, but were made so for quiet clients.
        int several = holds(job.priority, now) ? 1 : 2;
        if (job.sparse && recent.isQuiet(job.client) && jobsOfOthers(previous, job.client) >= several) {
            for (int priority = job.priority.ordinal(); priority < waited.length; priority++) {
                if (recent(waited[priority], now)) {
                    waitedAgain[priority] = now;
                }
                waited[priority] = now;
            }
        }
    }

    /** A job came, whatever becomes of it. */
    void asked(QueuedJob job) {
        recent.add(job.client);
    }

    /** The client asked less than half as often lately as clients did on average. */
    boolean isQuiet(String client) {
        return recent.isQuiet(client);
    }

    /** Batches with jobs of this priority must be short. */
    boolean holds(Priority priority, long now) {
        return recent(waitedAgain[priority.ordinal()], now);
    }

    private static long jobsOfOthers(List<String> clients, String client) {
        return clients.stream().filter(name -> !name.equals(client)).count();
    }

    private static boolean recent(long at, long now) {
        return now - at < RECENT_NS;
    }
}
