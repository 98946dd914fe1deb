package onnxserve;

import io.netty.buffer.Unpooled;
import io.netty.channel.ChannelHandlerContext;
import io.netty.handler.codec.http.DefaultFullHttpResponse;
import io.netty.handler.codec.http.FullHttpResponse;
import io.netty.handler.codec.http.HttpResponseStatus;
import io.netty.handler.codec.http.HttpUtil;
import io.netty.handler.codec.http.HttpVersion;
import java.lang.invoke.MethodHandle;
import java.util.Map;
import org.pytorch.serve.job.GRPCJob;
import org.pytorch.serve.job.Job;
import org.pytorch.serve.job.RestJob;

/** Whether anybody still waits for a job's answer. */
final class Connection {
    private static final MethodHandle CONTEXT = PrivateField.getter(RestJob.class, "ctx");

    private Connection() {}

    /** Fails with a LinkageError where jobs aren't TorchServe 0.12.0's. */
    static void prepare() {
        // Initialises the classes.
        Worker.prepare();
    }

    /**
     * The client has hung up.
     *
     * <p>A job of a workflow has no connection, and {@link GRPCJob#isOpen} says the contrary of its name
     * and fails for two of its kinds: neither is ever closed here.
     */
    static boolean closed(Job job) {
        if (job instanceof GRPCJob || (job instanceof RestJob && !hasContext((RestJob) job))) {
            return false;
        }
        return !job.isOpen();
    }

    /** The job came over HTTP, so its answer may have headers. */
    static boolean isHttp(Job job) {
        return job instanceof RestJob && hasContext((RestJob) job);
    }

    /** Answers a job and keeps the connection, which TorchServe itself closes after each error. */
    static void answer(RestJob job, int status, Map<String, String> headers, byte[] body) {
        FullHttpResponse response =
                new DefaultFullHttpResponse(
                        HttpVersion.HTTP_1_1, HttpResponseStatus.valueOf(status), Unpooled.wrappedBuffer(body));
        headers.forEach(response.headers()::set);
        HttpUtil.setContentLength(response, body.length);
        contextOf(job).writeAndFlush(response);
    }

    private static boolean hasContext(RestJob job) {
        return contextOf(job) != null;
    }

    private static ChannelHandlerContext contextOf(RestJob job) {
        try {
            return (ChannelHandlerContext) CONTEXT.invoke(job);
        } catch (Throwable error) {
            throw new IllegalStateException(error);
        }
    }
}
