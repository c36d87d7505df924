"""One long-lived process on rasterio, which carries a newer GDAL than Debian has.
It reads a small image from /vsis3/ every half second, anew each time. Prints
"ok -" or "refused WHY" for each call, and ends when standard input does. The
argument "version" makes it print GDAL's version instead.
"""

import os
import select
import sys

import numpy
import rasterio

IMAGE = "/vsis3/jobs/image.tif"


def main():
    if sys.argv[1:] == ["version"]:
        print(rasterio.__gdal_version__)
        return
    endpoint = {}
    if "CLIENT_ENDPOINT" in os.environ:
        endpoint = {"AWS_S3_ENDPOINT": os.environ["CLIENT_ENDPOINT"].removeprefix("http://"), "AWS_HTTPS": "NO", "AWS_VIRTUAL_HOSTING": False}
    # A path of GDAL's own kind: for s3:// rasterio would copy keys out of boto3.
    with rasterio.Env(
        **endpoint, VSI_CACHE=False, CPL_VSIL_CURL_NON_CACHED="/vsis3/",
        CPL_VSIL_USE_TEMP_FILE_FOR_RANDOM_WRITE="YES", GDAL_DISABLE_READDIR_ON_OPEN="EMPTY_DIR",
    ):
        made = False
        while True:
            try:
                if not made:
                    with rasterio.open(IMAGE, "w", driver="GTiff", width=8, height=8, count=1, dtype="uint8", crs="EPSG:4326",
                                       transform=rasterio.Affine(1, 0, 0, 0, -1, 0)) as image:
                        image.write(numpy.zeros((1, 8, 8), "uint8"))
                    made = True
                with rasterio.open(IMAGE) as image:
                    image.read()
                print("ok -", flush=True)
            except Exception as error:
                print("refused", " ".join(str(error).split()), flush=True)
            if select.select([sys.stdin], [], [], 0.5)[0] and not sys.stdin.buffer.read1(1):
                return


main()
