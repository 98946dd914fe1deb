package onnxserve;

import java.util.Arrays;
import java.util.List;
import java.util.concurrent.TimeUnit;

/**
 * Detects that quiet clients wait for other clients' batches. A wait counts if a client that sends fewer jobs
 * than others had a single job, and that job waited for a batch with several jobs of others. There is
 * contention if two waits happened within five seconds, the second of them less than five seconds ago.
 *
 * <p>One wait isn't enough, so that a probe every ten seconds doesn't cost throughput. Less urgent jobs don't
 * limit the batches of more urgent priorities.
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

    /**
     * Records that a job was taken which arrived during, or before, the batch with jobs of {@code previous}
     * clients.
     */
    void waited(QueuedJob job, List<String> previous, long now) {
        // While batches are kept short for quiet clients, a wait for a batch of one job counts too.
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

    /** Records a job's arrival, even if the job is refused. */
    void asked(QueuedJob job) {
        recent.add(job.client);
    }

    /** Returns whether the client recently sent less than half as many jobs as the average client. */
    boolean isQuiet(String client) {
        return recent.isQuiet(client);
    }

    /** Returns whether batches with jobs of this priority must be short. */
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
