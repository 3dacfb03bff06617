# One image for every program of the product: web, worker, beat, the graph service and the stand-ins.
FROM python:3.13.9-slim-bookworm

RUN useradd --create-home --uid 10001 causeway && install -d -o causeway /srv/causeway /srv/state /srv/globus /srv/data /srv/archive /srv/campus
WORKDIR /srv/causeway

COPY requirements.lock ./
RUN pip install --no-cache-dir --no-deps --require-hashes -r requirements.lock

COPY . ./
# Debugging is on for this one command only: it needs no secrets then.
RUN CAUSEWAY_DEBUG=1 CAUSEWAY_STATIC_ROOT=/srv/static python manage.py collectstatic --noinput

USER causeway
ENV PYTHONUNBUFFERED=1 CAUSEWAY_STATIC_ROOT=/srv/static CAUSEWAY_STATE=/srv/state
EXPOSE 8000
# Reads the env files that the stand-in of Globus writes, where there are any; then becomes the program.
ENTRYPOINT ["script/container"]
CMD ["granian", "--interface", "wsgi", "--host", "0.0.0.0", "--port", "8000", "--workers", "2", "--blocking-threads", "8", "--no-ws", "portal.wsgi:application"]
