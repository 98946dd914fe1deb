package onnxserve;

import java.util.PriorityQueue;
import java.util.function.Consumer;
import java.util.function.Predicate;
import org.pytorch.serve.job.Job;

/**
 * The jobs that wait for one model version: strictly by priority with a bounded bypass, fairly between
 * clients within each. Not thread-safe.
 *
 * <p>Jobs that were put back had their turn and go first, the oldest of them at the head.
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

    /** Clients that are remembered. */
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

    /** Puts a job back that was taken; does nothing if somebody else did already. */
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

    /** The priority that {@link #take} serves next; null when nothing waits. */
    Priority next() {
        if (!returned.isEmpty()) {
            return returned.peek().priority;
        }
        int waiting = waiting();
        return waiting == 0 ? null : PRIORITIES[order.next(waiting)];
    }

    /** The next job; null when nothing waits. */
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

    /** Clients of that priority that are served in this turn, each with a job. */
    int clientsInTurn(Priority priority) {
        return queues[priority.ordinal()].clientsInTurn();
    }

    /**
     * Makes room for a job where no more than {@code room} may wait: the job that leaves, which is the new
     * one if none gives way to it.
     *
     * <p>Else it is the last of the client with the most jobs: of the least urgent priority below the new
     * job's that has more than its guaranteed room, or has any where the new job's has less than its own, as
     * where the room is too small for all guarantees; else of the new job's own priority, if that client has at
     * least two more than the new job's; or of one that isn't quiet, if the new job's is and has none; else,
     * where the new job's priority has less than its guaranteed room, of the more urgent ones.
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

    /** The least urgent priority that gives way to a job of {@code own}; {@code own} itself if none does. */
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

    /** Takes all jobs, in their order. */
    void drain(Consumer<QueuedJob> sink) {
        for (QueuedJob job = take(); job != null; job = take()) {
            sink.accept(job);
        }
    }
}
