from django.http import HttpRequest, HttpResponse
from django.shortcuts import render


def home(request: HttpRequest) -> HttpResponse:
    return render(request, "pages/home.html")


def signin(request: HttpRequest) -> HttpResponse:
    return render(request, "pages/signin.html")
