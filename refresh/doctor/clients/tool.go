package clients

import (
	"path/filepath"
	"strings"
)

// toolOf knows tools by their names; whole is set if there is no more to find
// out by looking into the file.
func toolOf(path string) (c Client, whole, ok bool) {
	name := strings.TrimSuffix(filepath.Base(path), ".exe")
	c = Client{Name: name, Where: path, Named: true}
	switch name {
	case "spark-submit", "spark-shell", "spark-sql", "pyspark", "hadoop", "hdfs", "beeline", "distcp":
		c.ID, c.Name, whole = "s3a", name+" (Hadoop S3A)", true
	case "nextflow":
		c.ID, whole = "nextflow", true
	case "s3cmd":
		c.ID = "s3cmd"
	case "s3fs":
		c.ID, whole = "s3fs-fuse", true
	case "curl":
		c.ID, whole = "curl", true
	case "rclone":
		c.ID = "rclone"
	case "terraform", "tofu":
		c.ID, whole = "terraform", true
	case "s5cmd", "goofys":
		c.ID = name
	case "restic":
		c.ID = "minio-go"
	case "mcli": // mc is the Midnight Commander as well; MinIO's tells by its modules
		c.ID = "mc"
	case "mount-s3":
		c.ID = "crt"
	case "duckdb":
		c.ID, whole = "duckdb", true
	case "fluent-bit":
		c.ID, whole = "fluent-bit", true
	case "envoy":
		c.ID, whole = "envoy", true
	case "aws":
		c.ID, c.Name = "awscli", "AWS CLI"
	case "gdalinfo", "gdal_translate", "gdalwarp", "ogrinfo", "ogr2ogr", "gdalbuildvrt", "gdaladdo", "gdal":
		c.ID, c.Name = "gdal", "GDAL"
	default:
		return c, false, false
	}
	return c, whole, true
}
