import java.io.File;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import org.pytorch.serve.archive.utils.ZipUtils;

/** Unpacks each archive of a folder with TorchServe's own code; one that it refuses leaves {@code NAME.refused}. */
final class Unpack {
    private Unpack() {}

    public static void main(String[] arguments) throws Exception {
        for (File archive : new File(arguments[0]).listFiles()) {
            Path target = Path.of(arguments[1], archive.getName());
            Files.createDirectories(target);
            try (InputStream stream = Files.newInputStream(archive.toPath())) {
                ZipUtils.unzip(stream, target.toFile());
            } catch (Exception refused) {
                Files.writeString(Path.of(arguments[1], archive.getName() + ".refused"), refused.toString());
            }
        }
    }
}
