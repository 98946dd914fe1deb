package onnxserve;

import java.util.ArrayDeque;
import java.util.HashMap;
import java.util.Map;
import java.util.function.Predicate;
import org.pytorch.serve.job.Job;

/**
 * Jobs of one priority, shared fairly between clients.
 *
 * <p>Deficit round robin (Shreedhar and Varghese, "Efficient Fair Queuing Using Deficit Round-Robin",
 * SIGCOMM 1995) with the two lists of RFC 8290, section 4: a client that had nothing queued enters the
 * list of new flows, which is served first, takes one quantum there and then queues behind the others.
 * So a client that keeps within its share never waits behind one that floods, and any two clients
 * that have jobs waiting get the same bytes, but for a quantum and their largest job. Every operation is
 * O(1), but {@link #longest}, which runs when the queue is full. A client is forgotten when its turn
 * comes and it has nothing, or when nothing waits; one that overspent is kept until it has paid.
 *
 * <p>New flows may pass old ones {@link #PATIENCE} times in a row (RFC 8290 has no such bound, where
 * clients without number could starve the old flows). The quantum follows the least cost of recent jobs: with
 * a larger one, a client of small jobs would take thousands of them in one turn beside a client of large ones.
 */
final class FairQueue {
    private static final int PATIENCE = 8;
    private static final int NEW = 0;
    private static final int OLD = 1;
    private static final int SMOOTHING = 64;
    // A job of more than so many quanta is charged as that many: it bounds how often its flow is passed.
    private static final int MOST_QUANTA = 256;

    private final Map<String, Flow> flows = new HashMap<>();
    private final ArrayDeque<Flow> fresh = new ArrayDeque<>();
    private final ArrayDeque<Flow> old = new ArrayDeque<>();
    private final BoundedBypass order = new BoundedBypass(0, PATIENCE);
    private double quantum;
    private int size;
    private int backlogged;

    int size() {
        return size;
    }

    /** Clients that are remembered, with jobs or without. */
    int flows() {
        return flows.size();
    }

    /** Clients with a job in the list that is served next: new ones if there are any, else all that wait. */
    int clientsInTurn() {
        return fresh.isEmpty() ? backlogged : fresh.size();
    }

    void add(QueuedJob job) {
        quantum = quantum == 0 ? job.cost : Math.min(job.cost, quantum + quantum / SMOOTHING);
        Flow flow = flows.get(job.client);
        if (flow == null) {
            flow = new Flow(job.client, (long) quantum);
            flows.put(job.client, flow);
            fresh.addLast(flow);
        }
        if (flow.isEmpty()) {
            backlogged++;
        }
        flow.add(job);
        size++;
    }

    /** The next job, or null when none waits. */
    QueuedJob take() {
        while (size > 0) {
            int waiting = (fresh.isEmpty() ? 0 : 1 << NEW) | (old.isEmpty() ? 0 : 1 << OLD);
            int list = order.next(waiting);
            Flow flow = list == NEW ? fresh.removeFirst() : old.removeFirst();
            flow.deficit = Math.min(flow.deficit, (long) quantum); // of when jobs were larger
            if (flow.deficit <= 0) {
                flow.deficit += (long) quantum;
                old.addLast(flow);
            } else if (!flow.isEmpty()) {
                order.taken(list, waiting);
                return takeFrom(flow, list);
            } else if (list == NEW) {
                old.addLast(flow);
            } else {
                flows.remove(flow.client);
            }
        }
        return null;
    }

    private QueuedJob takeFrom(Flow flow, int list) {
        QueuedJob job = flow.removeFirst((long) (MOST_QUANTA * quantum));
        removed(flow);
        job.sparse = list == NEW && flow.isEmpty();
        if (size == 0) {
            forgetAll();
        } else if (list == NEW && (flow.isEmpty() || flow.deficit <= 0)) {
            flow.deficit += flow.deficit <= 0 ? (long) quantum : 0;
            old.addLast(flow);
        } else {
            (list == NEW ? fresh : old).addFirst(flow);
        }
        return job;
    }

    /** Nobody waits, so nobody was treated unfairly. */
    private void forgetAll() {
        flows.clear();
        fresh.clear();
        old.clear();
    }

    private void removed(Flow flow) {
        size--;
        if (flow.isEmpty()) {
            backlogged--;
        }
    }

    /** Jobs of a client. */
    int sizeOf(String client) {
        Flow flow = flows.get(client);
        return flow == null ? 0 : flow.size();
    }

    /** The client with the most jobs, or null when no job waits. */
    Flow longest() {
        return longest(client -> true);
    }

    /** The client with the most jobs of those that are meant, or null when none of them has a job. */
    Flow longest(Predicate<String> meant) {
        Flow longest = null;
        for (Flow flow : flows.values()) {
            if (flow.size() > (longest == null ? 0 : longest.size()) && meant.test(flow.client)) {
                longest = flow;
            }
        }
        return longest;
    }

    /** Takes away a flow's last job, the one that has waited least. */
    QueuedJob removeLast(Flow flow) {
        QueuedJob job = flow.removeLast();
        removed(flow);
        return job;
    }

    boolean contains(Job job) {
        return flows.values().stream().anyMatch(flow -> flow.contains(job));
    }
}
