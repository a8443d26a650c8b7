"""What gunicorn serves."""

import os

from django.core.wsgi import get_wsgi_application

from cartsite.charsets import defuse

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "cartsite.settings")
application = defuse(get_wsgi_application())
