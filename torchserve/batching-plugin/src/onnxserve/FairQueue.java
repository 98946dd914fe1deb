package onnxserve;

import java.util.ArrayDeque;
import java.util.HashMap;
import java.util.Map;
import java.util.function.Predicate;
import org.pytorch.serve.job.Job;

/**
 * The jobs of one priority, shared fairly between clients.
 *
 * <p>The algorithm is deficit round robin (Shreedhar and Varghese, "Efficient Fair Queuing Using Deficit
 * Round-Robin", SIGCOMM 1995) with the two lists of RFC 8290, section 4. A client that had no job queued
 * enters the list of new flows, which is served first. It takes one quantum there and then queues behind the
 * old flows. A client within its share therefore never waits behind a flooding client. Any two clients with
 * waiting jobs get the same bytes, up to a quantum and their largest job. Every operation is O(1) except
 * {@link #longest}, which runs when the queue is full. A client is forgotten when its turn comes and it has
 * no job, or when the queue is empty. A client that overspent is kept until it has paid.
 *
 * <p>New flows may pass old ones {@link #PATIENCE} times in a row. RFC 8290 has no such bound: there an
 * unlimited number of new clients can starve the old flows. The quantum follows the lowest cost of recent jobs.
 * With a larger quantum, a client of small jobs would take thousands of them in one turn while a client of
 * large jobs waits.
 */
final class FairQueue {
    private static final int PATIENCE = 8;
    private static final int NEW = 0;
    private static final int OLD = 1;
    private static final int SMOOTHING = 64;
    // A larger job is charged as this many quanta, which bounds how often its flow is passed over.
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

    /** Returns the number of remembered clients, with or without jobs. */
    int flows() {
        return flows.size();
    }

    /**
     * Returns the clients with a job in the list that is served next: the new flows if there are any,
     * otherwise all waiting clients.
     */
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

    /** Takes the next job, or returns null if none waits. */
    QueuedJob take() {
        while (size > 0) {
            int waiting = (fresh.isEmpty() ? 0 : 1 << NEW) | (old.isEmpty() ? 0 : 1 << OLD);
            int list = order.next(waiting);
            Flow flow = list == NEW ? fresh.removeFirst() : old.removeFirst();
            flow.deficit = Math.min(flow.deficit, (long) quantum); // limits a deficit from a time of larger jobs
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

    /** Forgets all clients: an empty queue owes none of them a turn. */
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

    /** Returns a client's number of jobs. */
    int sizeOf(String client) {
        Flow flow = flows.get(client);
        return flow == null ? 0 : flow.size();
    }

    /** Returns the client with the most jobs, or null if no job waits. */
    Flow longest() {
        return longest(client -> true);
    }

    /** Returns the matching client with the most jobs, or null if no matching client has a job. */
    Flow longest(Predicate<String> meant) {
        Flow longest = null;
        for (Flow flow : flows.values()) {
            if (flow.size() > (longest == null ? 0 : longest.size()) && meant.test(flow.client)) {
                longest = flow;
            }
        }
        return longest;
    }

    /** Removes a flow's newest job. */
    QueuedJob removeLast(Flow flow) {
        QueuedJob job = flow.removeLast();
        removed(flow);
        return job;
    }

    boolean contains(Job job) {
        return flows.values().stream().anyMatch(flow -> flow.contains(job));
    }
}
