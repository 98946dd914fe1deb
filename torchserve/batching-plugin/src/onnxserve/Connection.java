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

/** Tells whether a client still waits for a job's answer, and answers it. */
final class Connection {
    private static final MethodHandle CONTEXT = PrivateField.getter(RestJob.class, "ctx");

    private Connection() {}

    /** Throws a LinkageError if the job classes aren't those of TorchServe 0.12.0. */
    static void prepare() {
        // The call initialises this class and Worker.
        Worker.prepare();
    }

    /**
     * Returns whether the client has closed its connection.
     *
     * <p>A workflow's job has no connection. {@link GRPCJob#isOpen} returns the opposite of its name and
     * throws for two kinds of job. Both therefore count as open here.
     */
    static boolean closed(Job job) {
        if (job instanceof GRPCJob || (job instanceof RestJob && !hasContext((RestJob) job))) {
            return false;
        }
        return !job.isOpen();
    }

    /** Returns whether the job came over HTTP; only such an answer can have headers. */
    static boolean isHttp(Job job) {
        return job instanceof RestJob && hasContext((RestJob) job);
    }

    /** Answers a job and keeps the connection open; TorchServe itself closes it after each error. */
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
