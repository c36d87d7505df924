"""One long-lived process on GDAL, which rasterio, QGIS and others read S3 with
through /vsis3/. It writes and reads a small object every half second. Prints
"ok -" or "refused WHY" for each call, and ends when standard input does. The
argument "version" makes it print GDAL's version instead.
"""

import os
import select
import sys

from osgeo import gdal

gdal.UseExceptions()


def main():
    if sys.argv[1:] == ["version"]:
        print(gdal.__version__)
        return
    if "CLIENT_ENDPOINT" in os.environ:
        gdal.SetConfigOption("AWS_S3_ENDPOINT", os.environ["CLIENT_ENDPOINT"].removeprefix("http://"))
        gdal.SetConfigOption("AWS_HTTPS", "NO")
        gdal.SetConfigOption("AWS_VIRTUAL_HOSTING", "FALSE")
    while True:
        gdal.ErrorReset()
        try:
            call()
            print("ok -", flush=True)
        except Exception as error:
            print("refused", gdal.GetLastErrorMsg() or error, flush=True)
        if select.select([sys.stdin], [], [], 0.5)[0] and not sys.stdin.buffer.read1(1):
            return


def call():
    path = "/vsis3/jobs/gdal.bin"
    file = gdal.VSIFOpenL(path, "wb")
    if file is None:
        raise OSError("cannot write " + path)
    gdal.VSIFWriteL(b"x" * 100, 1, 100, file)
    if gdal.VSIFCloseL(file) != 0:
        raise OSError("cannot write " + path)
    gdal.VSICurlClearCache()
    file = gdal.VSIFOpenL(path, "rb")
    if file is None:
        raise OSError("cannot read " + path)
    gdal.VSIFReadL(1, 100, file)
    gdal.VSIFCloseL(file)


main()
