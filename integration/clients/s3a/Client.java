import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FSDataInputStream;
import org.apache.hadoop.fs.FSDataOutputStream;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.util.VersionInfo;

/**
 * One long-lived process on Hadoop's S3A, the S3 of Spark, Hive and others, with its default list
 * of credential providers. It writes and reads a small file every half second with a file system
 * that is made once. Prints "ok -" or "refused WHY" for each call, and ends when standard input
 * does. The argument "version" makes it print Hadoop's version instead.
 */
public final class Client {
  public static void main(String[] args) throws Exception {
    if (args.length > 0 && args[0].equals("version")) {
      System.out.println(VersionInfo.getVersion());
      return;
    }
    CountDownLatch ended = endOfInput();
    Configuration conf = new Configuration();
    String endpoint = System.getenv("CLIENT_ENDPOINT");
    if (endpoint != null) {
      conf.set("fs.s3a.endpoint", endpoint);
      conf.set("fs.s3a.path.style.access", "true");
      conf.set("fs.s3a.connection.ssl.enabled", "false");
    }
    conf.set("fs.s3a.endpoint.region", System.getenv("AWS_REGION"));
    conf.set("fs.s3a.attempts.maximum", "1");
    conf.set("fs.s3a.retry.limit", "1");
    conf.set("hadoop.tmp.dir", System.getenv("TMPDIR"));
    FileSystem s3 = null;
    do {
      try {
        if (s3 == null) {
          s3 = FileSystem.newInstance(URI.create("s3a://jobs/"), conf);
        }
        Path path = new Path("s3a://jobs/hadoop");
        try (FSDataOutputStream out = s3.create(path, true)) {
          out.write("x".getBytes(StandardCharsets.UTF_8));
        }
        try (FSDataInputStream in = s3.open(path)) {
          in.read();
        }
        System.out.println("ok -");
      } catch (Exception e) {
        System.out.println("refused " + String.valueOf(e.getMessage()).replace('\n', ' '));
      }
    } while (!ended.await(500, TimeUnit.MILLISECONDS));
    System.exit(0);
  }

  private static CountDownLatch endOfInput() {
    CountDownLatch ended = new CountDownLatch(1);
    Thread reader =
        new Thread(
            () -> {
              try {
                System.in.transferTo(java.io.OutputStream.nullOutputStream());
              } catch (java.io.IOException e) {
                // As good as its end.
              }
              ended.countDown();
            });
    reader.setDaemon(true);
    reader.start();
    return ended;
  }
}
