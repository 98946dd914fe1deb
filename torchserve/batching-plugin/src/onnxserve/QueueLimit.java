package onnxserve;

import java.util.concurrent.TimeUnit;

/**
 * Limits the jobs that may wait for a model, so that computed jobs are answered in time under any load. The
 * method is adaptive concurrency by Little's law.
 *
 * <p>While its workers are busy, a version that computes {@code rate} jobs per second answers a job after
 * {@code jobs / rate} seconds, where {@code jobs} counts waiting and running jobs (J. D. C. Little, "A Proof
 * for the Queuing Formula L = λW", Operations Research 9, 1961). The limit is therefore
 * {@code 1.5 * target * rate} minus the running jobs. The rate is measured in windows of half the target and
 * averaged over one second of busy time. A window in which workers waited for jobs yields no rate. If jobs
 * were refused in such a window, the limit is too low and grows.
 *
 * <p>The limit guarantees no latency for a single job. Clients take turns, so some jobs wait longer than the
 * average; jobs run in batches; and a model may slow down after a job arrives. The limit therefore shrinks if
 * more than one job in a hundred is answered later than 1.75 times the target. In addition, for one second
 * after a refusal, a job whose turn comes too late is dropped if other jobs wait. (CoDel, RFC 8289, likewise
 * never drops the last job.) Without this rule, refused jobs that return all at once would let workers run
 * dry in between, and the limit would grow too large.
 *
 * <p>While no worker is ready, there is no overload: jobs wait for a worker up to the queue's capacity, and
 * none of them counts as late. Times are in ns. Not thread-safe.
 */
final class QueueLimit {
    // Multiple of the target for waiting and computing; transport takes the rest, up to twice the target.
    private static final double AIM = 1.5;
    private static final double LEAST_AIM = 0.5;
    private static final double LATEST = 1.75;
    // The two factors cancel out if one job in a hundred is later than that.
    private static final double DOWN = 0.98;
    private static final double UP = 1.0002;
    // A worker may start a batch just before a job arrives, and that batch may take a little longer than usual.
    private static final double ONE_BATCH = 1.25;
    private static final double SMOOTHING = 4;
    // The first rate is a mean over this busy time, and a lower rate needs this busy time to take effect. A short
    // disturbance of the machine or a frontend that has just started therefore causes no refusals.
    private static final double MEMORY_NS = 1e9;
    private static final double MOSTLY = 0.2;
    private static final double GROWTH = 1.25;
    private static final long OVERLOAD_NS = TimeUnit.SECONDS.toNanos(1);

    private final int capacity;
    private final long target;
    private final Window window = new Window();
    private double aim = AIM;
    private double limit;
    private double batchTime = Double.NaN;
    private double learnt;
    private long learntAt;
    private int workers = 1;
    private long readySince;
    private boolean wasOverloaded;
    private long overloadedAt;

    /** {@code capacity} is the upper bound of the limit; if {@code target} is 0, the limit stays at the capacity. */
    QueueLimit(int capacity, long target, long now) {
        this.capacity = capacity;
        this.target = target;
        readySince = now;
        window.begin(now);
    }

    /** Returns the number of jobs that may wait. */
    int jobs() {
        return measured() && workers > 0 ? (int) limit : capacity;
    }

    private boolean measured() {
        return target > 0 && learnt >= MEMORY_NS;
    }

    /**
     * Returns whether a job whose turn has come would be answered too late. Jobs of the batch priority are
     * never late.
     */
    boolean late(QueuedJob job, long now) {
        boolean overloaded = wasOverloaded && now - overloadedAt < OVERLOAD_NS;
        if (!measured() || !overloaded || job.priority == Priority.BATCH || isFromOutage(job.arrivedAt)) {
            return false;
        }
        return now - job.passedOnAt > Math.max(LATEST * target - batchTime, ONE_BATCH * batchTime);
    }

    /** Returns whether the job arrived while no worker was ready. */
    private boolean isFromOutage(long arrived) {
        return workers == 0 || arrived - readySince < 0;
    }

    void refused(long now) {
        window.refused++;
        overloaded(now);
    }

    /** Records that a job was dropped or refused because too many jobs wait. */
    void overloaded(long now) {
        wasOverloaded = true;
        overloadedAt = now;
    }

    void taken() {
        window.taken++;
    }

    /** Records that a worker has finished a job that arrived at {@code arrived}. */
    void answered(long arrived, long now) {
        // Jobs that arrived before the limit existed don't measure it.
        if (measured() && arrived - learntAt >= 0 && !isFromOutage(arrived)) {
            aim = now - arrived > LATEST * target ? Math.max(LEAST_AIM, aim * DOWN) : Math.min(AIM, aim * UP);
        }
    }

    /** Records that a worker was idle for {@code nanos}. */
    void waited(long nanos) {
        window.waited += nanos;
    }

    /** Sets the number of workers that have loaded the model. */
    void workers(int ready, long now) {
        if (ready != workers) {
            if (workers == 0) {
                readySince = now;
            }
            workers = ready;
            window.begin(now);
        }
    }

    /** Records that a worker requests its next batch. */
    void nextBatch(long now) {
        window.batches++;
        long elapsed = now - window.since;
        if (target == 0 || workers == 0 || window.batches < 2 * workers || elapsed < target / 2) {
            return;
        }
        if (window.taken > 0 && window.waited < MOSTLY * elapsed) {
            measure(elapsed - window.waited, now);
        } else if (window.refused > 0 && measured()) {
            limit = Math.min(capacity, Math.max(limit + 1, GROWTH * limit));
        }
        window.begin(now);
    }

    private void measure(long busy, long now) {
        double running = (double) workers * window.taken / window.batches;
        double room = aim * target * window.taken / busy - running;
        double time = (double) workers * busy / window.batches;
        batchTime = Double.isNaN(batchTime) ? time : batchTime + (time - batchTime) / SMOOTHING;
        if (!measured()) {
            learntAt = now;
        }
        learnt = Math.min(MEMORY_NS, learnt + busy);
        double share = room > limit ? 1 / SMOOTHING : Math.min(1 / SMOOTHING, busy / MEMORY_NS);
        limit += (room - limit) * Math.max(share, busy / learnt);
        // One job per worker, so that none runs dry, and one job of another client.
        limit = Math.min(capacity, Math.max(workers + 1, limit));
    }

    /** Returns the members of a JSON object. */
    String json() {
        return String.format(
                "\"capacity\":%d,\"p99_ms\":%s,\"batch_ms\":%s",
                jobs(), target > 0 ? Double.toString(target / 1e6) : "null", measured() ? Double.toString(batchTime / 1e6) : "null");
    }

    /** Counts of the current measurement window. */
    private static final class Window {
        long since;
        int batches;
        int taken;
        int refused;
        long waited;

        void begin(long now) {
            since = now;
            batches = 0;
            taken = 0;
            refused = 0;
            waited = 0;
        }
    }
}
