"""The site's own pages: home, sign-in and out, consent, profile, status. The catalogue's and the requests' pages are in their apps."""

from __future__ import annotations

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from datasets.addresses import local_or_home
from datasets.errors import ForbiddenError
from datasets.models import Dataset
from datasets.search.holding import held_now
from datasets.showing import viewed
from portal import auth, health, mails, signin
from transfers import requirements, tokens

MOST_SUBJECTS = 12


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """`pages/home.html`: search, `held` (what the archive holds), `newest` (datasets), `subjects` [(name, count)], `viewed`."""
    published = Dataset.objects.listed()
    held, subjects = held_now(most_subjects=MOST_SUBJECTS)
    newest = published.order_by("-listed_at", "-id")[:5]
    slugs = viewed(request)
    known = {dataset.slug: dataset for dataset in published.filter(slug__in=slugs)} if slugs else {}
    context = {"held": held, "newest": newest, "subjects": subjects, "viewed": [known[slug] for slug in slugs if slug in known]}
    return render(request, "pages/home.html", context)


@never_cache
@require_safe
def show_signin(request: HttpRequest) -> HttpResponse:
    """`pages/signin.html`; query `next`: where to go afterwards, a path of this site."""
    next_url = local_or_home(request.GET.get("next"))
    return render(request, "pages/signin.html", {"next_url": next_url, "auth_url": settings.GLOBUS_AUTH_URL})


@never_cache
@require_POST
def sign_out(request: HttpRequest) -> HttpResponse:
    """End the session; with `everywhere`, every session of the person, and every token."""
    if request.user.is_authenticated:
        is_everywhere = bool(request.POST.get("everywhere"))
        signin.sign_out(request, is_everywhere=is_everywhere)
        messages.success(request, "You are signed out everywhere." if is_everywhere else "You are signed out.")
    return redirect("portal:home")


@never_cache
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def consent(request: HttpRequest) -> HttpResponse:
    """`pages/consent.html`: what is asked for, in words; only the POST goes to Globus. Query `scope` (repeats), `session`, `next`.

    `session` is what the sign-in must show, sealed for this person by `transfers.requirements`.
    """
    asked = request.POST if request.method == "POST" else request.GET
    scopes = auth.read_scopes(" ".join(asked.getlist("scope")))
    sealed = asked.get("session", "")
    next_url, person = local_or_home(asked.get("next")), signin.person_of(request)
    session = requirements.unseal(sealed, user_id=person.pk)
    if request.method == "POST":
        return signin.begin_consent(request, scopes=scopes, next_url=next_url, session=session)
    context = {
        "scopes": scopes,
        "wanted": signin.words_for(scopes, person=person),
        "next_url": next_url,
        "sealed": sealed,
        "message": session.get("session_message", ""),
        "shown": signin.session_in_words(session, person=person),
    }
    return render(request, "pages/consent.html", context)


@never_cache
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def assure(request: HttpRequest) -> HttpResponse:
    """`pages/assure.html`: why a second factor is asked for; only the POST goes to Globus. Query `next`."""
    asked = request.POST if request.method == "POST" else request.GET
    next_url = local_or_home(asked.get("next"))
    if request.method == "POST":
        return signin.begin_assured_signin(request, next_url=next_url)
    person = signin.person_of(request)
    context = {"next_url": next_url, "minutes": settings.ASSURANCE_MINUTES, "given_at": person.second_factor_at, "person": person}
    return render(request, "pages/assure.html", context)


@never_cache
@login_required
@require_safe
def profile(request: HttpRequest) -> HttpResponse:
    """`pages/profile.html`: identities, groups, roles, the consents held (`held`: resource server, scopes in words, times), `api_scope`."""
    user = signin.person_of(request)
    context = {
        "identities": user.linked_identities.order_by("username"),
        "memberships": user.group_memberships.order_by("name"),
        "held": signin.describe_tokens(user),
        "api_scope": settings.API_SCOPE,
        "api_url": f"{settings.BASE_URL}/api/v1/",
    }
    return render(request, "pages/profile.html", context)


@never_cache
@login_required
@require_POST
def forget_consent(request: HttpRequest, resource_server: str) -> HttpResponse:
    """Revoke and delete the tokens that the portal holds for one service."""
    tokens.forget_tokens(signin.person_of(request), resource_server)
    messages.success(request, "Forgotten. Causeway asks again when it needs this.")
    return redirect("portal:profile")


@never_cache
@require_safe
def status(request: HttpRequest) -> HttpResponse:
    """`pages/status.html`: `findings`, one for each part; readable whatever is out."""
    return render(request, "pages/status.html", {"findings": health.findings()})


@never_cache
@login_required
@require_safe
def show_mails(request: HttpRequest) -> HttpResponse:
    """`pages/mails.html`: `mails` that were written to files, for operators; `are_kept` is false where mail leaves by SMTP."""
    if not signin.person_of(request).is_operator:
        raise ForbiddenError("The mails of others are for operators.")
    are_kept = mails.are_kept()
    return render(request, "pages/mails.html", {"are_kept": are_kept, "mails": mails.newest_mails() if are_kept else []})
