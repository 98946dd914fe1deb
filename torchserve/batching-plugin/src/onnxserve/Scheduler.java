package onnxserve;

import java.util.PriorityQueue;
import java.util.function.Consumer;
import java.util.function.Predicate;
import org.pytorch.serve.job.Job;

/**
 * The jobs that wait for one model version. Priorities are served in strict order with a bounded bypass;
 * clients of one priority share it fairly. Not thread-safe.
 *
 * <p>Returned jobs had their turn already and go first, the oldest before the others.
 */
final class Scheduler {
    private static final Priority[] PRIORITIES = Priority.values();
    private final FairQueue[] queues = new FairQueue[PRIORITIES.length];
    private final BoundedBypass order = new BoundedBypass(Priority.patiences());
    private final PriorityQueue<QueuedJob> returned =
            new PriorityQueue<>((one, other) -> Long.signum(one.job.getBegin() - other.job.getBegin()));

    Scheduler() {
        for (Priority priority : PRIORITIES) {
            queues[priority.ordinal()] = new FairQueue();
        }
    }

    int size() {
        int size = returned.size();
        for (FairQueue queue : queues) {
            size += queue.size();
        }
        return size;
    }

    /** Returns the number of remembered clients. */
    int clients() {
        int clients = 0;
        for (FairQueue queue : queues) {
            clients += queue.flows();
        }
        return clients;
    }

    void add(QueuedJob job) {
        queues[job.priority.ordinal()].add(job);
    }

    /** Puts a taken job back; does nothing if the queue contains it already. */
    void putBack(QueuedJob job) {
        if (!contains(job.job)) {
            returned.add(job);
        }
    }

    private boolean contains(Job job) {
        if (returned.stream().anyMatch(queued -> queued.job == job)) {
            return true;
        }
        for (FairQueue queue : queues) {
            if (queue.contains(job)) {
                return true;
            }
        }
        return false;
    }

    /** Returns the priority that {@link #take} serves next, or null if no job waits. */
    Priority next() {
        if (!returned.isEmpty()) {
            return returned.peek().priority;
        }
        int waiting = waiting();
        return waiting == 0 ? null : PRIORITIES[order.next(waiting)];
    }

    /** Takes the next job, or returns null if none waits. */
    QueuedJob take() {
        if (!returned.isEmpty()) {
            return returned.remove();
        }
        int waiting = waiting();
        if (waiting == 0) {
            return null;
        }
        int next = order.next(waiting);
        order.taken(next, waiting);
        return queues[next].take();
    }

    private int waiting() {
        int waiting = 0;
        for (int i = 0; i < queues.length; i++) {
            waiting |= queues[i].size() > 0 ? 1 << i : 0;
        }
        return waiting;
    }

    /** Returns how many clients of a priority are served in this turn, each with a job. */
    int clientsInTurn(Priority priority) {
        return queues[priority.ordinal()].clientsInTurn();
    }

    /**
     * Makes room for a job if {@code room} jobs wait already. Returns the job that leaves: the arrival if no
     * other job gives way to it, otherwise the last job of the client with the most jobs in the first of
     * these groups.
     *
     * <p>First, the least urgent priority below the arrival's that exceeds its guaranteed room. If the
     * arrival's priority has less than its own guarantee, any less urgent priority with a job qualifies,
     * since a small room can't satisfy all guarantees. Second, the arrival's own priority, if that client has
     * at least two jobs more than the arrival's client. Third, the clients of the own priority that aren't
     * quiet, if the arrival's client is quiet and has no job. Fourth, the more urgent priorities that exceed
     * their guarantee, if the arrival's priority has less than its own.
     */
    QueuedJob displace(QueuedJob arrival, int room, Predicate<String> quiet) {
        int own = arrival.priority.ordinal();
        int giving = lessUrgent(own, room);
        if (giving > own) {
            return removeLongest(giving);
        }
        int jobs = queues[own].sizeOf(arrival.client);
        Flow longest = queues[own].longest();
        if (longest != null && longest.size() >= jobs + 2) {
            return queues[own].removeLast(longest);
        }
        Flow busy = jobs == 0 && quiet.test(arrival.client) ? queues[own].longest(quiet.negate()) : null;
        if (busy != null) {
            return queues[own].removeLast(busy);
        }
        if (queues[own].size() < arrival.priority.guaranteed(room)) {
            for (int earlier = own - 1; earlier >= 0; earlier--) {
                if (exceedsGuarantee(earlier, room)) {
                    return removeLongest(earlier);
                }
            }
        }
        return arrival;
    }

    /** Returns the least urgent priority that gives way to a job of {@code own}, or {@code own} if none does. */
    private int lessUrgent(int own, int room) {
        int least = own;
        int any = own;
        for (int later = own + 1; later < queues.length; later++) {
            least = exceedsGuarantee(later, room) ? later : least;
            any = queues[later].size() > 0 ? later : any;
        }
        boolean isOwed = queues[own].size() < PRIORITIES[own].guaranteed(room);
        return least == own && isOwed ? any : least;
    }

    private boolean exceedsGuarantee(int priority, int room) {
        return queues[priority].size() > PRIORITIES[priority].guaranteed(room);
    }

    private QueuedJob removeLongest(int priority) {
        return queues[priority].removeLast(queues[priority].longest());
    }

    /** Removes all jobs in their order. */
    void drain(Consumer<QueuedJob> sink) {
        for (QueuedJob job = take(); job != null; job = take()) {
            sink.accept(job);
        }
    }
}
